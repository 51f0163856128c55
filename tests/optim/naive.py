"""The optimizers as their papers write them, in float64 NumPy: one parameter at a time, nothing clever."""

import numpy as np


def adan(weights, gradients, lr, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.0):
    w = weights.copy()
    m, v, n, before = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), None
    for k, gradient in enumerate(gradients, start=1):
        g = gradient(w)
        change = np.zeros_like(g) if before is None else g - before
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * change
        n = betas[2] * n + (1 - betas[2]) * (g + betas[1] * change) ** 2
        corrected = m / (1 - betas[0] ** k) + betas[1] * v / (1 - betas[1] ** k)
        eta = lr / (np.sqrt(n / (1 - betas[2] ** k)) + eps)
        w = (w - eta * corrected) / (1 + lr * weight_decay)
        before = g
    return w


def adam(weights, gradients, lr, betas, eps=1e-8, weight_decay=0.0):
    w, m, v = weights.copy(), np.zeros_like(weights), np.zeros_like(weights)
    for k, gradient in enumerate(gradients, start=1):
        g = gradient(w)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        step = m / (1 - betas[0] ** k) / (np.sqrt(v / (1 - betas[1] ** k)) + eps)
        w = w - lr * weight_decay * w - lr * step
    return w


def schedule_free(weights, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, warmup=0):
    z, x, v = weights.copy(), weights.copy(), np.zeros_like(weights)
    total = largest = 0.0
    for t, gradient in enumerate(gradients, start=1):
        y = (1 - betas[0]) * z + betas[0] * x
        g = gradient(y)
        v = betas[1] * v + (1 - betas[1]) * g**2
        rate = lr * (min(1.0, t / warmup) if warmup else 1.0)
        z = z - rate * (g / (np.sqrt(v / (1 - betas[1] ** t)) + eps) + weight_decay * y)
        largest = max(largest, rate)
        total += largest**2
        x = (1 - largest**2 / total) * x + largest**2 / total * z
    return (1 - betas[0]) * z + betas[0] * x, x


def newton_schulz(matrix, iterations=5):
    wide = matrix.shape[0] <= matrix.shape[1]
    x = (matrix if wide else matrix.T) / (np.linalg.norm(matrix) + 1e-7)
    for _ in range(iterations):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if wide else x.T


def muon(weights, gradients, lr, momentum=0.95, weight_decay=0.0, scale="adam"):
    w, m = weights.copy(), np.zeros_like(weights)
    rows, columns = w.shape[0], w.size // w.shape[0]
    factor = 0.2 * np.sqrt(max(rows, columns)) if scale == "adam" else np.sqrt(max(1, rows / columns))
    for gradient in gradients:
        g = gradient(w)
        m = momentum * m + (1 - momentum) * g
        ahead = momentum * m + (1 - momentum) * g
        step = newton_schulz(ahead.reshape(rows, columns)).reshape(w.shape)
        w = w - lr * weight_decay * w - lr * factor * step
    return w


def soap(
    weights,
    gradients,
    lr,
    betas=(0.95, 0.95),
    eps=1e-8,
    weight_decay=0.0,
    frequency=10,
    longest=512,
    bases=(None, None),
):
    """`bases` are the first eigenbases: where the first gradient has a null space, any will do."""
    shape = weights.shape
    w = weights.reshape(shape[0], -1).copy()
    L, R = np.zeros((w.shape[0],) * 2), np.zeros((w.shape[1],) * 2)
    QL, QR = np.eye(w.shape[0]), np.eye(w.shape[1])
    M, V = np.zeros_like(w), np.zeros_like(w)
    sides = [max(side.shape) <= longest for side in (L, R)]
    for t, gradient in enumerate(gradients):
        G = gradient(w.reshape(shape)).reshape(w.shape)
        L = betas[1] * L + (1 - betas[1]) * G @ G.T
        R = betas[1] * R + (1 - betas[1]) * G.T @ G
        if t == 0:
            QL = bases[0] if sides[0] else QL
            QR = bases[1] if sides[1] else QR
            for Q, average in zip((QL, QR), (L, R), strict=True):
                inside = Q.T @ average @ Q
                assert np.abs(Q.T @ Q - np.eye(len(Q))).max() < 1e-12
                assert max(Q.shape) > longest or np.abs(inside - np.diag(np.diag(inside))).max() < 1e-12
            continue
        M = betas[0] * M + (1 - betas[0]) * G
        V = betas[1] * V + (1 - betas[1]) * (QL.T @ G @ QR) ** 2
        inside = QL.T @ M @ QR / (1 - betas[0] ** t) / (np.sqrt(V / (1 - betas[1] ** t)) + eps)
        w = w - lr * weight_decay * w - lr * QL @ inside @ QR.T
        if t % frequency == 0:
            if sides[0]:
                order = np.argsort(-np.diag(QL.T @ L @ QL))
                QL, V = np.linalg.qr(L @ QL[:, order])[0], V[order]
            if sides[1]:
                order = np.argsort(-np.diag(QR.T @ R @ QR))
                QR, V = np.linalg.qr(R @ QR[:, order])[0], V[:, order]
    return w.reshape(shape)
