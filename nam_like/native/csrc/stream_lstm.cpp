// The operation of a whole LSTM: its weights in the kernel's order, its state in the player's memory.
#include <cstring>

#include "stream.h"

namespace nam::stream {
namespace {

class Lstm final : public Operation {
public:
    Lstm(Player& player, Rows out, Rows x, const StreamLstm& job, const float* weights, const float* initial,
         const float* head)
        : player_(player), out_(out), x_(x), kernel_(NAM_CALL(stream_lstm)), job_(job) {
        const int layers = job.layers, hidden = job.hidden;
        units_ = static_cast<size_t>(NAM_CALL(stream_lstm_units)(hidden));
        packed_ = Memory(static_cast<size_t>(NAM_CALL(stream_lstm_packed)(layers, hidden)));
        NAM_CALL(stream_lstm_pack)(weights, layers, hidden, packed_.data());
        initial_.assign(initial, initial + 2 * static_cast<size_t>(layers) * static_cast<size_t>(hidden));
        head_ = Memory(units_);
        std::memcpy(head_.data(), head, static_cast<size_t>(hidden) * sizeof(float));
        job_.weights = packed_.data();
        job_.head = head_.data();
    }

    size_t state_floats() const override { return 3 * units_ * static_cast<size_t>(job_.layers); }

    void start(float* state) override {
        job_.state = state;
        const size_t hidden = static_cast<size_t>(job_.hidden), layers = static_cast<size_t>(job_.layers);
        for (size_t l = 0; l < layers; ++l, state += 3 * units_) {
            std::memcpy(state, initial_.data() + l * hidden, hidden * sizeof(float));
            std::memcpy(state + 2 * units_, initial_.data() + (layers + l) * hidden, hidden * sizeof(float));
        }
    }

    void run(int n) override {
        job_.x = player_.signal(x_.signal).read(x_.row, 1).first;
        Signal& to = player_.signal(out_.signal);
        job_.y = to.write(out_.row, 1).first;
        kernel_(job_, n);
        to.wrote(out_.row, 1, n);
    }

private:
    Player& player_;
    Rows out_, x_;
    decltype(NAM_CALL(stream_lstm)) kernel_;
    StreamLstm job_;
    size_t units_ = 0;
    Memory packed_, head_;
    std::vector<float> initial_;
};

}  // namespace

std::unique_ptr<Operation> make_lstm(Player& player, Rows out, Rows x, int layers, int hidden, bool fast,
                                     const float* weights, const float* initial, const float* head, float head_bias) {
    StreamLstm job{};
    job.layers = layers;
    job.hidden = hidden;
    job.fast = fast;
    job.head_bias = head_bias;
    return std::make_unique<Lstm>(player, out, x, job, weights, initial, head);
}

}  // namespace nam::stream
