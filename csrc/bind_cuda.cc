// srctrace._cuda: mixing and LFCCs on GPUs, for srctrace/gpu.py. Pointers and streams are integers, so that any library
// may own the memory.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "cuda_error.h"
#include "device_lfcc.h"
#include "mix_plan.h"
#include "refuse.h"

namespace py = pybind11;

namespace {

using srctrace::DeviceLfcc;
using srctrace::LfccOptions;
using srctrace::Refuse;

template <typename T>
using Array = py::array_t<T, py::array::c_style>;

template <typename T>
const T* Values(const Array<T>& array, const char* name, int64_t count) {
  if (array.ndim() != 1 || array.shape(0) != count) Refuse(name, " must be an array of ", count, " values");
  return array.data();
}

// Without its samples.
srctrace::Bank BankOf(const Array<int64_t>& starts) {
  if (starts.ndim() != 1 || starts.shape(0) < 1) Refuse("starts must be an array of one value more than records");
  return {nullptr, starts.data(), starts.size() - 1};
}

void CheckBank(const Array<int64_t>& starts, int64_t samples) { srctrace::CheckBank(BankOf(starts), samples); }

void CheckPlan(int64_t variants, const Array<uint8_t>& kinds, const Array<int64_t>& firsts, const Array<double>& snrs,
               const Array<int64_t>& records, const Array<int64_t>& offsets, const Array<int64_t>& starts) {
  srctrace::MixPlan plan;
  plan.mixes = kinds.size();
  plan.variants = variants;
  plan.parts = records.size();
  plan.kinds = Values(kinds, "kinds", plan.mixes);
  plan.firsts = Values(firsts, "firsts", plan.mixes + 1);
  plan.snrs = Values(snrs, "snrs", plan.mixes);
  plan.records = Values(records, "records", plan.parts);
  plan.offsets = Values(offsets, "offsets", plan.parts);
  srctrace::CheckPlan(plan, BankOf(starts));
}

template <typename T>
const T* At(uintptr_t address) {
  return reinterpret_cast<const T*>(address);
}

srctrace::DeviceAudio Audio(uintptr_t waves, bool int16, int64_t batch, int64_t samples) {
  srctrace::DeviceAudio audio{};
  audio.waves = At<void>(waves);
  audio.int16 = int16;
  audio.batch = batch;
  audio.samples = samples;
  audio.plan.mixes = batch;
  audio.plan.variants = 1;
  return audio;
}

void Run(const DeviceLfcc& lfcc, const srctrace::DeviceAudio& audio, uintptr_t workspace, int64_t workspace_bytes,
         uintptr_t features, uintptr_t stream) {
  const py::gil_scoped_release release;
  lfcc.Run(audio, reinterpret_cast<void*>(workspace), workspace_bytes, reinterpret_cast<float*>(features),
           reinterpret_cast<void*>(stream));
}

void Lfcc(const DeviceLfcc& lfcc, uintptr_t waves, bool int16, int64_t batch, int64_t samples, uintptr_t workspace,
          int64_t workspace_bytes, uintptr_t features, uintptr_t stream) {
  Run(lfcc, Audio(waves, int16, batch, samples), workspace, workspace_bytes, features, stream);
}

void AugmentLfcc(const DeviceLfcc& lfcc, uintptr_t waves, bool int16, int64_t batch, int64_t samples, int64_t variants,
                 int64_t parts, uintptr_t kinds, uintptr_t firsts, uintptr_t snrs, uintptr_t records, uintptr_t offsets,
                 uintptr_t bank, uintptr_t starts, uintptr_t reverberated, uintptr_t workspace, int64_t workspace_bytes,
                 uintptr_t features, uintptr_t stream) {
  srctrace::DeviceAudio audio = Audio(waves, int16, batch, samples);
  audio.plan = {batch * variants, variants, At<uint8_t>(kinds),   At<int64_t>(firsts),
                At<double>(snrs), parts,    At<int64_t>(records), At<int64_t>(offsets)};
  audio.bank = {At<int16_t>(bank), At<int64_t>(starts), 0};
  audio.reverberated = At<float>(reverberated);
  Run(lfcc, audio, workspace, workspace_bytes, features, stream);
}

}  // namespace

PYBIND11_MODULE(_cuda, module) {
  module.doc() = "Mixing and LFCCs on GPUs; srctrace.gpu, which calls it, has the documentation.";
  py::module_::import("srctrace._C");  // has LfccOptions
  py::register_local_exception<srctrace::CudaError>(module, "CudaError", PyExc_RuntimeError);

  module.def("why_no_gpu", &srctrace::WhyNoGpu, "Why there is no GPU, in one line; empty if there is one.");
  module.def("check_bank", &CheckBank, py::arg("starts").noconvert(), py::arg("samples"));
  module.def("check_plan", &CheckPlan, py::arg("variants"), py::arg("kinds").noconvert(), py::arg("firsts").noconvert(),
             py::arg("snrs").noconvert(), py::arg("records").noconvert(), py::arg("offsets").noconvert(),
             py::arg("starts").noconvert());

  py::class_<DeviceLfcc>(module, "DeviceLfcc", py::module_local())
      .def(py::init<const LfccOptions&, int>(), py::arg("options"), py::arg("device"))
      .def("workspace_bytes", &DeviceLfcc::WorkspaceBytes, py::arg("mixes"), py::arg("samples"), py::arg("parts"))
      .def("lfcc", &Lfcc, py::kw_only(), py::arg("waves"), py::arg("int16"), py::arg("batch"), py::arg("samples"),
           py::arg("workspace"), py::arg("workspace_bytes"), py::arg("features"), py::arg("stream"))
      .def("augment_lfcc", &AugmentLfcc, py::kw_only(), py::arg("waves"), py::arg("int16"), py::arg("batch"),
           py::arg("samples"), py::arg("variants"), py::arg("parts"), py::arg("kinds"), py::arg("firsts"),
           py::arg("snrs"), py::arg("records"), py::arg("offsets"), py::arg("bank"), py::arg("starts"),
           py::arg("reverberated"), py::arg("workspace"), py::arg("workspace_bytes"), py::arg("features"),
           py::arg("stream"));
}
