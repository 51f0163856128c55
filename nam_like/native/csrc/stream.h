// The streaming player: signals, and operations that fill them block by block.
//
// Python builds a player by adding signals and operations (stream_api.cpp), starts it, and hands over samples in
// blocks of any size. Nothing is allocated after the start. Signal 0 is the input, one row.
#pragma once
#include <memory>
#include <vector>

#include "stream_signal.h"

namespace nam::stream {

// Aligned memory that lives as long as its owner.
class Memory {
public:
    Memory() = default;
    explicit Memory(size_t floats);
    Memory(Memory&& other) noexcept;
    Memory& operator=(Memory&& other) noexcept;
    ~Memory();
    float* data() const { return data_; }
    size_t size() const { return size_; }

private:
    float* data_ = nullptr;
    size_t size_ = 0;
};

// What is computed for a block: reads signals, writes signals, may remember things of its own.
class Operation {
public:
    virtual ~Operation() = default;
    // Floats of state, which the player keeps, zeroes at the start, saves and restores.
    virtual size_t state_floats() const { return 0; }
    // Called once, with the state's memory.
    virtual void start(float*) {}
    virtual void run(int n) = 0;
};

class Player {
public:
    int add_signal(int rows);
    Signal& signal(int index) { return signals_[static_cast<size_t>(index)]; }
    bool has(int index, int row, int count) const;
    void add(std::unique_ptr<Operation> operation) { operations_.push_back(std::move(operation)); }

    // Lays out the memory; `output` is the signal whose row 0 is heard.
    void start(int output);
    bool started() const { return started_; }
    // Plays n samples. `in` and `out` may be the same.
    void process(const float* in, float* out, ptrdiff_t n);
    // Plays n samples of silence and forgets what comes out.
    void play_silence(ptrdiff_t n);
    // The present state becomes the one that `reset` goes back to.
    void save();
    void reset();

private:
    void play_block(const float* in, float* out, int n);

    std::vector<Signal> signals_;
    std::vector<std::unique_ptr<Operation>> operations_;
    Memory state_, scratch_, saved_;
    std::vector<ptrdiff_t> saved_positions_;
    int output_ = 0;
    bool started_ = false;
};

// Operations; all take their weights by copy. Signals are given as indices into the player.
struct Rows {
    int signal, row, count;
};
struct Taps {
    Rows rows;
    int kernel, dilation;
};
inline constexpr int NOTHING = -1;  // as a signal: none

std::unique_ptr<Operation> make_mix(Player& player, Rows out, Rows base, const std::vector<Taps>& sources,
                                    const float* weights, const float* bias);
std::unique_ptr<Operation> make_activate(Player& player, Rows z, Rows out, Rows sum, bool adds, Pair pair,
                                         const Activation& primary, const float* primary_slopes,
                                         const Activation& secondary, const float* secondary_slopes);
std::unique_ptr<Operation> make_modulate(Player& player, Rows out, Rows x, Rows scale, Rows shift);
// `initial` holds the state that the stream begins with: h of all layers, then c, (layers · hidden) each.
std::unique_ptr<Operation> make_lstm(Player& player, Rows out, Rows x, int layers, int hidden, bool fast,
                                     const float* weights, const float* initial, const float* head, float head_bias);

}  // namespace nam::stream
