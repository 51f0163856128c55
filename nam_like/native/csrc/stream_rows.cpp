// Operations that call one row kernel each: mix, activate, modulate.
#include <cstring>

#include "stream.h"

namespace nam::stream {
namespace {

class Mix final : public Operation {
public:
    Mix(Player& player, Rows out, Rows base, const std::vector<Taps>& taps, const float* weights, const float* bias)
        : player_(player), out_(out), base_(base), taps_(taps), kernel_(NAM_CALL(stream_mix)),
          bias_(bias, bias + out.count) {
        size_t groups = 0;
        for (const Taps& source : taps_) {
            player.signal(source.rows.signal).remember(ptrdiff_t{source.kernel - 1} * source.dilation);
            groups += static_cast<size_t>(source.kernel);
            job_.sources += source.kernel * source.rows.count;
        }
        groups_.resize(groups);
        packed_ = Memory(static_cast<size_t>(out.count) * static_cast<size_t>(job_.sources));
        NAM_CALL(stream_pack)(weights, out.count, job_.sources, packed_.data());
        job_.weights = packed_.data();
        job_.bias = bias_.data();
        job_.groups = groups_.data();
        job_.group_count = static_cast<int>(groups);
    }

    void run(int n) override {
        SourceRows* group = groups_.data();
        for (const Taps& source : taps_) {
            const Signal& from = player_.signal(source.rows.signal);
            for (int k = source.kernel - 1; k >= 0; --k)
                *group++ = from.read(source.rows.row, source.rows.count, ptrdiff_t{k} * source.dilation);
        }
        if (base_.signal != NOTHING) job_.base = player_.signal(base_.signal).read(base_.row, base_.count);
        Signal& to = player_.signal(out_.signal);
        job_.out = to.write(out_.row, out_.count);
        kernel_(job_, n);
        to.wrote(out_.row, out_.count, n);
    }

private:
    Player& player_;
    Rows out_, base_;
    std::vector<Taps> taps_;
    decltype(NAM_CALL(stream_mix)) kernel_;
    std::vector<float> bias_;
    std::vector<SourceRows> groups_;
    Memory packed_;
    StreamMix job_{};
};

class Activate final : public Operation {
public:
    Activate(Player& player, Rows z, Rows out, Rows sum, const StreamActivate& job, const float* primary,
             const float* secondary)
        : player_(player), z_(z), out_(out), sum_(sum), kernel_(NAM_CALL(stream_activate)), job_(job) {
        const int rows = job.pair == Pair::none ? z.count : z.count / 2;
        if (primary) primary_.assign(primary, primary + rows);
        if (secondary) secondary_.assign(secondary, secondary + rows);
        job_.primary_slopes = primary ? primary_.data() : nullptr;
        job_.secondary_slopes = secondary ? secondary_.data() : nullptr;
    }

    void run(int n) override {
        job_.z = player_.signal(z_.signal).read(z_.row, z_.count);
        if (out_.signal != NOTHING) job_.out = player_.signal(out_.signal).write(out_.row, out_.count);
        if (sum_.signal != NOTHING) job_.sum = player_.signal(sum_.signal).write(sum_.row, sum_.count);
        kernel_(job_, n);
        for (const Rows& rows : {out_, sum_})
            if (rows.signal != NOTHING) player_.signal(rows.signal).wrote(rows.row, rows.count, n);
    }

private:
    Player& player_;
    Rows z_, out_, sum_;
    decltype(NAM_CALL(stream_activate)) kernel_;
    StreamActivate job_;
    std::vector<float> primary_, secondary_;
};

class Modulate final : public Operation {
public:
    Modulate(Player& player, Rows out, Rows x, Rows scale, Rows shift)
        : player_(player), out_(out), x_(x), scale_(scale), shift_(shift), kernel_(NAM_CALL(stream_modulate)) {}

    void run(int n) override {
        StreamModulate job{};
        job.x = player_.signal(x_.signal).read(x_.row, x_.count);
        job.scale = player_.signal(scale_.signal).read(scale_.row, scale_.count);
        if (shift_.signal != NOTHING) job.shift = player_.signal(shift_.signal).read(shift_.row, shift_.count);
        Signal& to = player_.signal(out_.signal);
        job.out = to.write(out_.row, out_.count);
        kernel_(job, n);
        to.wrote(out_.row, out_.count, n);
    }

private:
    Player& player_;
    Rows out_, x_, scale_, shift_;
    decltype(NAM_CALL(stream_modulate)) kernel_;
};

}  // namespace

std::unique_ptr<Operation> make_mix(Player& player, Rows out, Rows base, const std::vector<Taps>& sources,
                                    const float* weights, const float* bias) {
    return std::make_unique<Mix>(player, out, base, sources, weights, bias);
}

std::unique_ptr<Operation> make_activate(Player& player, Rows z, Rows out, Rows sum, bool adds, Pair pair,
                                         const Activation& primary, const float* primary_slopes,
                                         const Activation& secondary, const float* secondary_slopes) {
    StreamActivate job{};
    job.primary = primary;
    job.secondary = secondary;
    job.pair = pair;
    job.adds = adds;
    return std::make_unique<Activate>(player, z, out, sum, job, primary_slopes, secondary_slopes);
}

std::unique_ptr<Operation> make_modulate(Player& player, Rows out, Rows x, Rows scale, Rows shift) {
    return std::make_unique<Modulate>(player, out, x, scale, shift);
}

}  // namespace nam::stream
