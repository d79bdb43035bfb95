#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "cuda_error.h"
#include "device_tables.h"

namespace srctrace {
namespace {

constexpr int kLanes = 32;
constexpr size_t kAlignment = 256;

// A piece of memory at `base`, as it is to be.
class Image {
 public:
  explicit Image(const char* base) : base_(base) {}

  const std::vector<char>& bytes() const { return bytes_; }

  // Where the values will be.
  template <typename T>
  const T* Put(const T* values, size_t count) {
    if (values == nullptr) return nullptr;
    const size_t start = (bytes_.size() + kAlignment - 1) / kAlignment * kAlignment;
    bytes_.resize(start + count * sizeof(T));
    std::memcpy(bytes_.data() + start, values, count * sizeof(T));
    return reinterpret_cast<const T*>(base_ + start);
  }

 private:
  const char* const base_;
  std::vector<char> bytes_;
};

FftTables PutFft(const FftTables& fft, Image* image) {
  std::vector<FftPass> passes(fft.passes, fft.passes + fft.n_passes);
  for (FftPass& pass : passes) {
    const size_t twiddles = static_cast<size_t>(pass.length / pass.radix) * (pass.radix - 1);
    pass.twiddles = image->Put(pass.twiddles, twiddles);
  }
  FftTables out = fft;
  out.passes = image->Put(passes.data(), passes.size());
  out.order = image->Put(fft.order, fft.size);
  out.chirp = image->Put(fft.chirp, fft.size);
  out.spectrum = image->Put(fft.spectrum, fft.length);
  return out;
}

RealFftTables PutRealFft(const RealFftTables& real, Image* image) {
  RealFftTables out = real;
  out.fft = PutFft(real.fft, image);
  out.twiddles = real.packed ? image->Put(real.twiddles, real.size / 2 + 1) : nullptr;
  return out;
}

DeviceTables PutTables(const LfccPlan& plan, Image* image) {
  const LfccTables& lfcc = plan.tables();
  const int n_fft = plan.options().n_fft;
  DeviceTables out{};
  out.lfcc = lfcc;
  out.lfcc.place = out.lfcc.first_bin = nullptr;
  out.lfcc.window = out.lfcc.window_int16 = out.lfcc.weights = nullptr;
  out.lfcc.fft = PutRealFft(lfcc.fft, image);
  out.lfcc.dct = PutRealFft(lfcc.dct, image);
  out.lfcc.dct_place = image->Put(lfcc.dct_place, lfcc.n_filter);
  out.lfcc.dct_turns = image->Put(lfcc.dct_turns, lfcc.n_filter / 2 + 1);

  out.padding = plan.options().Padding();
  out.pitch = lfcc.rows | 1;
  std::vector<PlacedWindow> frame;
  for (int i = 0; i < n_fft; ++i) {
    // The plan has row * stride + column.
    const int row = lfcc.place[i] / lfcc.stride, column = lfcc.place[i] % lfcc.stride;
    frame.push_back({column * out.pitch + row, lfcc.window[i]});
  }
  out.frame = image->Put(frame.data(), frame.size());

  out.filter_quads = (1 + lfcc.taps + 3) / 4;
  std::vector<int32_t> words(static_cast<size_t>(4) * out.filter_quads * lfcc.n_filter);
  for (int m = 0; m < lfcc.n_filter; ++m) {
    int32_t* const filter = words.data() + static_cast<size_t>(4) * out.filter_quads * m;
    filter[0] = lfcc.first_bin[m];
    std::memcpy(filter + 1, lfcc.weights + static_cast<size_t>(m) * lfcc.taps, sizeof(float) * lfcc.taps);
  }
  out.filters = image->Put(words.data(), words.size());
  out.energies_data_bytes = static_cast<int64_t>(sizeof(Complex)) * kLanes * lfcc.fft.fft.length;
  return out;
}

}  // namespace

DevicePlan::DevicePlan(const LfccOptions& options) : plan_(options, kLanes) {
  Image size(nullptr);
  PutTables(plan_, &size);
  CheckCuda(cudaMalloc(&memory_, size.bytes().size()), "get memory for the tables");
  Image image(static_cast<const char*>(memory_));
  tables_ = PutTables(plan_, &image);
  cudaError_t status = cudaMemcpy(memory_, image.bytes().data(), image.bytes().size(), cudaMemcpyHostToDevice);
  // The copy may still be on its way when cudaMemcpy returns, and torch's streams do not wait for the one it is on.
  if (status == cudaSuccess) status = cudaStreamSynchronize(nullptr);
  if (status != cudaSuccess) cudaFree(memory_);
  CheckCuda(status, "copy the tables");
}

DevicePlan::~DevicePlan() { cudaFree(memory_); }

int64_t DevicePlan::EnergiesBytes() const {
  const int64_t samples = static_cast<int64_t>(sizeof(float)) * tables_.lfcc.columns * tables_.pitch;
  const int64_t power = static_cast<int64_t>(sizeof(float)) * kLanes * tables_.lfcc.bins;
  return tables_.energies_data_bytes + (std::max(samples, power) + 15) / 16 * 16;
}

int64_t DevicePlan::CosineBytes() const {
  return static_cast<int64_t>(sizeof(Complex)) * kLanes * tables_.lfcc.dct.fft.length;
}

}  // namespace srctrace
