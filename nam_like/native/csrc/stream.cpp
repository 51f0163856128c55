#include "stream.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#if defined(NAM_X86)
#include <xmmintrin.h>
#endif

namespace nam::stream {
namespace {

constexpr size_t LINE = 16;  // floats of a cache line

size_t whole_lines(size_t floats) { return (floats + LINE - 1) / LINE * LINE; }

// While it exists, numbers too small to be normal count as zero. A decaying tail would otherwise end in them, and
// they take a hundred times as long.
class NoDenormals {
public:
#if defined(NAM_X86)
    NoDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
    ~NoDenormals() { _mm_setcsr(before_); }

private:
    unsigned before_;
#elif defined(__aarch64__)
    NoDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(before_));
        asm volatile("msr fpcr, %0" ::"r"(before_ | (uint64_t{1} << 24)));
    }
    ~NoDenormals() { asm volatile("msr fpcr, %0" ::"r"(before_)); }

private:
    uint64_t before_;
#else
    NoDenormals() {}
#endif
};

}  // namespace

Memory::Memory(size_t floats) : size_(whole_lines(std::max<size_t>(floats, 1))) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, size_ * sizeof(float)) != 0) throw std::bad_alloc();
    data_ = static_cast<float*>(memory);
    std::memset(data_, 0, size_ * sizeof(float));
}
Memory::Memory(Memory&& other) noexcept { *this = std::move(other); }
Memory& Memory::operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}
Memory::~Memory() { std::free(data_); }

int Player::add_signal(int rows) {
    signals_.emplace_back(rows);
    return static_cast<int>(signals_.size()) - 1;
}

bool Player::has(int index, int row, int count) const {
    return index >= 0 && index < static_cast<int>(signals_.size()) && row >= 0 && count > 0 &&
           count <= signals_[static_cast<size_t>(index)].rows() - row;
}

void Player::start(int output) {
    output_ = output;
    size_t state = 0, scratch = 0;
    for (Signal& signal : signals_)
        (signal.is_ring() ? state : scratch) += whole_lines(static_cast<size_t>(signal.floats()));
    for (auto& operation : operations_) state += whole_lines(operation->state_floats());
    state_ = Memory(state);
    scratch_ = Memory(scratch);
    float *next_state = state_.data(), *next_scratch = scratch_.data();
    for (Signal& signal : signals_) {
        float*& next = signal.is_ring() ? next_state : next_scratch;
        signal.place(next);
        next += whole_lines(static_cast<size_t>(signal.floats()));
    }
    for (auto& operation : operations_) {
        operation->start(next_state);
        next_state += whole_lines(operation->state_floats());
    }
    saved_ = Memory(state);
    saved_positions_.resize(signals_.size());
    started_ = true;
    save();
}

void Player::play_block(const float* in, float* out, int n) {
    std::memcpy(signals_[0].write(0, 1).first, in, static_cast<size_t>(n) * sizeof(float));
    signals_[0].wrote(0, 1, n);
    for (auto& operation : operations_) operation->run(n);
    const float* heard = signal(output_).read(0, 1).first;
    std::memcpy(out, heard, static_cast<size_t>(n) * sizeof(float));
    for (Signal& signal : signals_) signal.advance(n);
}

void Player::process(const float* in, float* out, ptrdiff_t n) {
    const NoDenormals guard;
    for (ptrdiff_t t = 0; t < n; t += STREAM_BLOCK)
        play_block(in + t, out + t, static_cast<int>(std::min<ptrdiff_t>(n - t, STREAM_BLOCK)));
}

void Player::play_silence(ptrdiff_t n) {
    float silence[STREAM_BLOCK] = {}, unheard[STREAM_BLOCK];
    for (; n > 0; n -= STREAM_BLOCK)
        process(silence, unheard, std::min<ptrdiff_t>(n, STREAM_BLOCK));
}

void Player::save() {
    std::memcpy(saved_.data(), state_.data(), state_.size() * sizeof(float));
    for (size_t i = 0; i < signals_.size(); ++i) saved_positions_[i] = signals_[i].position();
}

void Player::reset() {
    std::memcpy(state_.data(), saved_.data(), state_.size() * sizeof(float));
    for (size_t i = 0; i < signals_.size(); ++i) signals_[i].set_position(saved_positions_[i]);
}

}  // namespace nam::stream
