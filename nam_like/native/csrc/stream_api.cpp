// The streaming player for Python. Functions that build return a non-negative number, or one of the errors below.
#include <chrono>
#include <new>

#include "api.h"
#include "stream.h"

using namespace nam::stream;

namespace {

enum Error { WRONG_ROWS = -1, NO_MEMORY = -2 };

Player& player_of(void* handle) { return *static_cast<Player*>(handle); }

// Rows as Python gives them: signal, first row, number of rows; null for none.
Rows rows_of(const int* numbers) {
    return numbers ? Rows{numbers[0], numbers[1], numbers[2]} : Rows{NOTHING, 0, 0};
}
bool valid(const Player& player, Rows rows) { return player.has(rows.signal, rows.row, rows.count); }
bool valid_or_none(const Player& player, Rows rows) { return rows.signal == NOTHING || valid(player, rows); }

nam::Activation activation_of(int kind, const float* constants) {
    nam::Activation activation;
    activation.kind = static_cast<nam::Kind>(kind);
    if (constants)
        for (int i = 0; i < 4; ++i) activation.constants[i] = constants[i];
    return activation;
}

// Adds what `make` returns.
template <class Make>
int add(Player& player, Make make) {
    try {
        player.add(make());
        return 0;
    } catch (const std::bad_alloc&) {
        return NO_MEMORY;
    }
}

}  // namespace

NAM_API void* nam_stream_new() { return new (std::nothrow) Player; }
NAM_API void nam_stream_free(void* handle) { delete static_cast<Player*>(handle); }

NAM_API int nam_stream_signal(void* handle, int rows) { return rows > 0 ? player_of(handle).add_signal(rows) : WRONG_ROWS; }

// `taps` holds (signal, row, rows, kernel, dilation) per source, `weights` is (out rows, Σ kernel · rows), the oldest
// tap first.
NAM_API int nam_stream_mix(void* handle, const int* out, const int* base, int sources, const int* taps,
                           const float* weights, const float* bias) {
    Player& player = player_of(handle);
    const Rows to = rows_of(out), from = rows_of(base);
    if (!valid(player, to) || !valid_or_none(player, from)) return WRONG_ROWS;
    std::vector<Taps> all;
    for (int i = 0; i < sources; ++i, taps += 5) {
        all.push_back({rows_of(taps), taps[3], taps[4]});
        if (!valid(player, all.back().rows) || taps[3] < 1 || taps[4] < 1) return WRONG_ROWS;
    }
    return add(player, [&] { return make_mix(player, to, from, all, weights, bias); });
}

NAM_API int nam_stream_activate(void* handle, const int* z, const int* out, const int* sum, int adds, int pair,
                                int primary, const float* primary_constants, const float* primary_slopes,
                                int secondary, const float* secondary_constants, const float* secondary_slopes) {
    Player& player = player_of(handle);
    const Rows from = rows_of(z), to = rows_of(out), total = rows_of(sum);
    if (!valid(player, from) || !valid_or_none(player, to) || !valid_or_none(player, total)) return WRONG_ROWS;
    return add(player, [&] {
        return make_activate(player, from, to, total, adds != 0, static_cast<nam::Pair>(pair),
                             activation_of(primary, primary_constants), primary_slopes,
                             activation_of(secondary, secondary_constants), secondary_slopes);
    });
}

NAM_API int nam_stream_modulate(void* handle, const int* out, const int* x, const int* scale, const int* shift) {
    Player& player = player_of(handle);
    const Rows to = rows_of(out), from = rows_of(x), factor = rows_of(scale), summand = rows_of(shift);
    if (!valid(player, to) || !valid(player, from) || !valid(player, factor) || !valid_or_none(player, summand))
        return WRONG_ROWS;
    return add(player, [&] { return make_modulate(player, to, from, factor, summand); });
}

// The arrays are laid out as make_lstm and stream_lstm_pack say.
NAM_API int nam_stream_lstm(void* handle, const int* out, const int* x, int layers, int hidden, int fast,
                            const float* weights, const float* initial, const float* head, float head_bias) {
    Player& player = player_of(handle);
    const Rows to = rows_of(out), from = rows_of(x);
    if (!valid(player, to) || !valid(player, from) || layers < 1 || hidden < 1) return WRONG_ROWS;
    return add(player, [&] {
        return make_lstm(player, to, from, layers, hidden, fast != 0, weights, initial, head, head_bias);
    });
}

NAM_API int nam_stream_start(void* handle, int output) {
    Player& player = player_of(handle);
    if (!player.has(output, 0, 1)) return WRONG_ROWS;
    try {
        player.start(output);
        return 0;
    } catch (const std::bad_alloc&) {
        return NO_MEMORY;
    }
}

NAM_API void nam_stream_process(void* handle, const float* in, float* out, ptrdiff_t n) {
    player_of(handle).process(in, out, n);
}
NAM_API void nam_stream_silence(void* handle, ptrdiff_t n) { player_of(handle).play_silence(n); }
NAM_API void nam_stream_save(void* handle) { player_of(handle).save(); }
NAM_API void nam_stream_reset(void* handle) { player_of(handle).reset(); }

// Plays `blocks` blocks of n samples and writes down how long each took.
NAM_API void nam_stream_time(void* handle, const float* in, float* out, ptrdiff_t n, ptrdiff_t blocks, double* seconds) {
    using clock = std::chrono::steady_clock;
    auto before = clock::now();
    for (ptrdiff_t i = 0; i < blocks; ++i) {
        player_of(handle).process(in + i * n, out + i * n, n);
        const auto now = clock::now();
        seconds[i] = std::chrono::duration<double>(now - before).count();
        before = now;
    }
}
