#include <cuda_runtime.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "cuda_error.h"
#include "device_lfcc.cuh"
#include "device_lfcc.h"
#include "device_mix.cuh"
#include "refuse.h"

namespace srctrace {
namespace {

constexpr int kMinWarps = 4;
constexpr int64_t kEnoughWarps = 24;               // on a multiprocessor
constexpr int64_t kReserved = 1024;                // bytes of shared memory that the system takes of each block
constexpr int64_t kMaxScratch = int64_t{1} << 28;  // bytes of workspace for blocks that shared memory is too small for

template <typename Sample>
using EnergiesFunction = void (*)(DeviceTables, Mixes<Sample>, Energies);
using CosineFunction = void (*)(DeviceTables, Energies, float*);

template <typename Sample>
EnergiesFunction<Sample> EnergiesKernelFor(int n_fft, bool shared) {
  if (!shared) return EnergiesKernel<Sample, 0, false>;
  switch (n_fft) {
    case 320:
      return EnergiesKernel<Sample, 320, true>;
    case 512:
      return EnergiesKernel<Sample, 512, true>;
    default:
      return EnergiesKernel<Sample, 0, true>;
  }
}

CosineFunction CosineKernelFor(int n_filter, bool shared) {
  if (!shared) return CosineKernel<0, false>;
  return n_filter == 128 ? CosineKernel<128, true> : CosineKernel<0, true>;
}

template <typename... Parameters, typename... Arguments>
void Launch(void (*kernel)(Parameters...), int64_t blocks, int threads, int64_t shared_bytes, void* stream,
            const Arguments&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(std::min<int64_t>(blocks, 0x7fffffff)));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = static_cast<size_t>(shared_bytes);
  config.stream = static_cast<cudaStream_t>(stream);
  CheckCuda(cudaLaunchKernelEx(&config, kernel, arguments...), "start a kernel");
}

// The device's limit, not what one launch needs: the setting is the kernel's, and other threads launch it too.
template <typename Function>
void AllowShared(Function kernel, int64_t limit) {
  const auto* function = reinterpret_cast<const void*>(kernel);
  CheckCuda(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(limit)),
            "get shared memory");
}

int64_t Aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

// Warps of a block: as few as possible idle while others finish a pass, and enough on a multiprocessor, which has room
// for `blocks`, to hide how long memory takes.
int BestWarps(const RealFftTables& real, int64_t blocks) {
  const int points = real.fft.length;
  std::vector<int> butterflies;
  for (int size = points; size > 1; size /= FirstRadix(size)) butterflies.push_back(points / FirstRadix(size));
  // The last pass takes its butterflies in pairs.
  if (real.packed && real.fft.chirp == nullptr && butterflies.size() > 1) {
    butterflies.back() = (butterflies.back() + 1) / 2;
  }
  int best = kMaxWarps;
  double most = 0;
  for (int warps = kMinWarps; warps <= kMaxWarps; ++warps) {
    double rounds = 0;
    for (const int count : butterflies) {
      rounds += static_cast<double>((count + warps - 1) / warps * warps) / count;
    }
    if (butterflies.empty()) break;
    const double busy = static_cast<double>(butterflies.size()) / rounds;
    const double score = busy * static_cast<double>(std::min(kEnoughWarps, blocks * warps));
    if (score >= most) {
      most = score;
      best = warps;
    }
  }
  return best;
}

}  // namespace

// What of the workspace is where.
struct DeviceLfcc::Layout {
  int64_t frames, tiles;
  int64_t chunk;   // mixes at a time, so that what one kernel leaves for the next stays in the L2 cache
  int64_t blocks;  // at a time; as many as there are tiles, where shared memory is enough
  int64_t gains, loudest, energies, scratch, bytes;
};

DeviceLfcc::DeviceLfcc(const LfccOptions& options, int device) : device_(device) {
  options.Check();
  CheckDevice(device);
  const DeviceScope scope(device);
  l2_bytes_ = DeviceAttribute(cudaDevAttrL2CacheSize, device);
  shared_per_multiprocessor_ = DeviceAttribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor, device);
  shared_limit_ = DeviceAttribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  plan_ = std::make_unique<DevicePlan>(options);
  energies_ = Choose(plan_->EnergiesBytes(), plan_->tables().lfcc.fft);
  cosine_ = Choose(plan_->CosineBytes(), plan_->tables().lfcc.dct);
}

DeviceLfcc::~DeviceLfcc() {
  try {
    const DeviceScope scope(device_);
    plan_.reset();
  } catch (const CudaError&) {
    // At the end of a process the device may be gone already, and with it the memory.
  }
}

DeviceLfcc::Geometry DeviceLfcc::Choose(int64_t bytes, const RealFftTables& fft) const {
  Geometry geometry;
  geometry.warps = BestWarps(fft, std::max<int64_t>(1, shared_per_multiprocessor_ / (bytes + kReserved)));
  geometry.block_bytes = Aligned(bytes);
  geometry.shared_bytes = bytes <= shared_limit_ ? bytes : 0;
  return geometry;
}

DeviceLfcc::Layout DeviceLfcc::Arrange(int64_t mixes, int64_t samples, int64_t parts) const {
  Layout layout;
  layout.frames = options().Frames(samples);
  layout.tiles = (layout.frames + kWarp - 1) / kWarp;
  const int64_t mix_bytes = int64_t{4} * options().n_filter * layout.tiles * kWarp;
  layout.chunk = std::max<int64_t>(1, std::min(mixes, l2_bytes_ * 3 / 5 / mix_bytes));
  const int64_t jobs = layout.chunk * layout.tiles;
  const int64_t scratch = std::max(energies_.shared_bytes > 0 ? 0 : energies_.block_bytes,
                                   cosine_.shared_bytes > 0 ? 0 : cosine_.block_bytes);
  layout.blocks = scratch > 0 ? std::clamp<int64_t>(kMaxScratch / scratch, 1, jobs) : jobs;
  layout.gains = 0;
  layout.loudest = layout.gains + Aligned(parts * int64_t{sizeof(float)});
  layout.energies = layout.loudest + Aligned(mixes * int64_t{sizeof(int32_t)});
  layout.scratch = layout.energies + Aligned(layout.chunk * mix_bytes);
  layout.bytes = layout.scratch + (scratch > 0 ? layout.blocks * scratch : 0);
  return layout;
}

int64_t DeviceLfcc::WorkspaceBytes(int64_t mixes, int64_t samples, int64_t parts) const {
  return Arrange(mixes, samples, parts).bytes;
}

void DeviceLfcc::Run(const DeviceAudio& audio, void* workspace, int64_t workspace_bytes, float* features,
                     void* stream) const {
  const MixPlan& plan = audio.plan;
  if (audio.batch < 0) Refuse("the batch has ", audio.batch, " utterances");
  if (audio.samples > kMaxSamples) {
    Refuse("an utterance of ", audio.samples, " samples is too long: on a GPU it may have ", kMaxSamples);
  }
  if (plan.variants < 0 || plan.mixes != audio.batch * plan.variants) {
    Refuse("there are ", plan.mixes, " mixes: there must be ", plan.variants, " variants of each of ", audio.batch,
           " utterances");
  }
  if (plan.mixes > 0x7fffffff) Refuse("there are ", plan.mixes, " mixes: there may be ", 0x7fffffff);
  const Layout layout = Arrange(plan.mixes, audio.samples, plan.parts);
  if (workspace_bytes < layout.bytes) {
    Refuse("the workspace has ", workspace_bytes, " bytes: it must have ", layout.bytes);
  }
  if (plan.mixes == 0) return;
  const DeviceScope scope(device_);
  const auto check = [&](const void* pointer, const char* name, size_t alignment) {
    CheckPointer(pointer, name, alignment, device_);
  };
  check(audio.waves, "waves", audio.int16 ? sizeof(int16_t) : sizeof(float));
  check(workspace, "workspace", 256);
  check(features, "features", sizeof(float));
  if (plan.kinds != nullptr) {
    check(plan.kinds, "kinds", sizeof(uint8_t));
    check(plan.firsts, "firsts", sizeof(int64_t));
    check(plan.snrs, "snrs", sizeof(double));
    if (plan.parts > 0) {
      check(plan.records, "records", sizeof(int64_t));
      check(plan.offsets, "offsets", sizeof(int64_t));
      check(audio.bank.samples, "bank", sizeof(int16_t));
      check(audio.bank.starts, "starts", sizeof(int64_t));
    }
    if (audio.reverberated != nullptr) check(audio.reverberated, "reverberated", sizeof(float));
  }
  char* const memory = static_cast<char*>(workspace);
  if (audio.int16) {
    RunOn<int16_t>(audio, memory, features, stream);
  } else {
    RunOn<float>(audio, memory, features, stream);
  }
}

template <typename Sample>
void DeviceLfcc::RunOn(const DeviceAudio& audio, char* workspace, float* features, void* stream) const {
  const Layout layout = Arrange(audio.plan.mixes, audio.samples, audio.plan.parts);
  float* const gains = reinterpret_cast<float*>(workspace + layout.gains);
  const Mixes<Sample> mixes = {static_cast<const Sample*>(audio.waves),
                               static_cast<int32_t>(audio.samples),
                               audio.plan,
                               audio.bank,
                               gains,
                               audio.reverberated};
  if (audio.plan.parts > 0) {
    Launch(GainsKernel<Sample>, audio.plan.mixes, kSumThreads, kSumBytes, stream, mixes, gains);
  }
  int32_t* const loudest = reinterpret_cast<int32_t*>(workspace + layout.loudest);
  Launch(LoudestKernel<Sample>, audio.batch, kSumThreads, kSumBytes, stream, mixes, loudest);
  const auto energies_kernel = EnergiesKernelFor<Sample>(options().n_fft, energies_.shared_bytes > 0);
  const auto cosine_kernel = CosineKernelFor(options().n_filter, cosine_.shared_bytes > 0);
  AllowShared(energies_kernel, shared_limit_);
  AllowShared(cosine_kernel, shared_limit_);
  Energies energies;
  energies.frames = static_cast<int32_t>(layout.frames);
  energies.tiles = static_cast<int32_t>(layout.tiles);
  energies.values = reinterpret_cast<float*>(workspace + layout.energies);
  energies.workspace = workspace + layout.scratch;
  for (int64_t first = 0; first < audio.plan.mixes; first += layout.chunk) {
    energies.first_mix = first;
    energies.mixes = static_cast<int32_t>(std::min(layout.chunk, audio.plan.mixes - first));
    energies.loudest = loudest + first;
    const int64_t blocks = std::min(layout.blocks, int64_t{energies.mixes} * energies.tiles);
    energies.per_block = energies_.shared_bytes > 0 ? 0 : energies_.block_bytes;
    Launch(energies_kernel, blocks, energies_.warps * kWarp, energies_.shared_bytes, stream, plan_->tables(), mixes,
           energies);
    energies.per_block = cosine_.shared_bytes > 0 ? 0 : cosine_.block_bytes;
    Launch(cosine_kernel, blocks, cosine_.warps * kWarp, cosine_.shared_bytes, stream, plan_->tables(), energies,
           features);
  }
}

}  // namespace srctrace
