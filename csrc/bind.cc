// srctrace._C: the C++ core for Python. NumPy arrays in and out, no interpreter lock while it computes.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lfcc.h"
#include "mix.h"
#include "refuse.h"
#include "simd.h"

namespace py = pybind11;

namespace {

using srctrace::LfccOptions;
using srctrace::Refuse;

template <typename T>
using Array = py::array_t<T, py::array::c_style>;
using Out = std::optional<Array<float>>;

std::string ShapeText(const py::array& array) { return py::str(array.attr("shape")); }

template <typename Sample>
void RequireBatch(const Array<Sample>& waves) {
  if (waves.ndim() != 2) Refuse("waves must be (batch, samples), not ", ShapeText(waves));
}

// The caller's array, if there is one, or a new one.
Array<float> Output(const Out& out, const std::vector<py::ssize_t>& shape) {
  if (!out) return Array<float>(shape);
  if (std::vector<py::ssize_t>(out->shape(), out->shape() + out->ndim()) != shape) {
    Refuse("out is ", ShapeText(*out), ": it must be ", std::string(py::str(py::tuple(py::cast(shape)))));
  }
  if (!out->writeable()) Refuse("out cannot be written to");
  if (reinterpret_cast<uintptr_t>(out->data()) % alignof(float) != 0) Refuse("out is not aligned");
  return *out;
}

template <typename Sample>
Array<float> Lfcc(const Array<Sample>& waves, const LfccOptions& options, int threads, const Out& out) {
  RequireBatch(waves);
  const int64_t batch = waves.shape(0), samples = waves.shape(1);
  Array<float> features = Output(out, {batch, options.n_lfcc, options.Frames(samples)});
  const Sample* const in = waves.data();
  float* const values = features.mutable_data();
  const py::gil_scoped_release release;
  srctrace::ComputeLfcc(in, batch, samples, options, threads, values);
  return features;
}

// The noise, and what is worth keeping of it. Refers to the arrays, and copies nothing.
struct Bank {
  Bank(Array<int16_t> samples, Array<int64_t> starts, int64_t cache_bytes)
      : samples(std::move(samples)), starts(std::move(starts)), responses(Checked(cache_bytes)) {
    if (this->samples.ndim() != 1 || this->starts.ndim() != 1 || this->starts.size() < 1) {
      Refuse("a bank is (samples,) and (records + 1,), not ", ShapeText(this->samples), " and ",
             ShapeText(this->starts));
    }
    srctrace::CheckBank(view(), this->samples.size());
  }

  static int64_t Checked(int64_t cache_bytes) {
    if (cache_bytes < 0) Refuse("cache_bytes is ", cache_bytes, ": it must be at least 0");
    return cache_bytes;
  }

  srctrace::Bank view() const { return {samples.data(), starts.data(), starts.size() - 1}; }

  const Array<int16_t> samples;
  const Array<int64_t> starts;
  srctrace::ResponseSpectra responses;
};

struct Plan {
  Array<uint8_t> kinds;
  Array<double> snrs;
  Array<int64_t> firsts, records, offsets;

  srctrace::MixPlan view(int64_t batch) const {
    if (kinds.ndim() != 2 || kinds.shape(0) != batch) {
      Refuse("kinds must be (batch, variants), not ", ShapeText(kinds), ", for a batch of ", batch);
    }
    if (snrs.ndim() != 2 || snrs.shape(0) != batch || snrs.shape(1) != kinds.shape(1)) {
      Refuse("snrs must be as kinds, ", ShapeText(kinds), ", not ", ShapeText(snrs));
    }
    if (firsts.ndim() != 1 || firsts.size() != kinds.size() + 1) {
      Refuse("firsts must be (", kinds.size() + 1, ",), not ", ShapeText(firsts));
    }
    if (records.ndim() != 1 || offsets.ndim() != 1 || records.size() != offsets.size()) {
      Refuse("records and offsets must be (parts,), not ", ShapeText(records), " and ", ShapeText(offsets));
    }
    return {kinds.size(), kinds.shape(1), kinds.data(),   firsts.data(),
            snrs.data(),  records.size(), records.data(), offsets.data()};
  }
};

template <typename Sample>
Array<float> Mix(const Array<Sample>& waves, const Plan& plan, Bank& bank, int threads, const Out& out) {
  RequireBatch(waves);
  const int64_t batch = waves.shape(0), samples = waves.shape(1);
  const srctrace::MixPlan view = plan.view(batch);
  Array<float> mixes = Output(out, {batch, view.variants, samples});
  const Sample* const in = waves.data();
  float* const values = mixes.mutable_data();
  const py::gil_scoped_release release;
  srctrace::ComputeMixes(in, batch, samples, view, bank.view(), &bank.responses, threads, values);
  return mixes;
}

template <typename Sample>
Array<float> MixedLfcc(const Array<Sample>& waves, const Plan& plan, Bank& bank, const LfccOptions& options,
                       int threads, const Out& out) {
  RequireBatch(waves);
  const int64_t batch = waves.shape(0), samples = waves.shape(1);
  const srctrace::MixPlan view = plan.view(batch);
  Array<float> features = Output(out, {batch, view.variants, options.n_lfcc, options.Frames(samples)});
  const Sample* const in = waves.data();
  float* const values = features.mutable_data();
  const py::gil_scoped_release release;
  srctrace::ComputeMixedLfcc(in, batch, samples, view, bank.view(), &bank.responses, options, threads, values);
  return features;
}

template <typename Sample>
void DefineFor(py::module_* module) {
  module->def("lfcc", &Lfcc<Sample>, py::arg("waves").noconvert(), py::arg("options"), py::arg("threads"),
              py::arg("out").noconvert() = py::none());
  module->def("mix", &Mix<Sample>, py::arg("waves").noconvert(), py::arg("plan"), py::arg("bank"), py::arg("threads"),
              py::arg("out").noconvert() = py::none());
  module->def("mixed_lfcc", &MixedLfcc<Sample>, py::arg("waves").noconvert(), py::arg("plan"), py::arg("bank"),
              py::arg("options"), py::arg("threads"), py::arg("out").noconvert() = py::none());
}

}  // namespace

PYBIND11_MODULE(_C, module) {
  module.doc() = "The C++ core of srctrace; the modules that call it have the documentation.";

  py::class_<LfccOptions>(module, "LfccOptions")
      .def(py::init<>())
      .def_readwrite("sample_rate", &LfccOptions::sample_rate)
      .def_readwrite("n_fft", &LfccOptions::n_fft)
      .def_readwrite("win_length", &LfccOptions::win_length)
      .def_readwrite("hop_length", &LfccOptions::hop_length)
      .def_readwrite("center", &LfccOptions::center)
      .def_readwrite("n_filter", &LfccOptions::n_filter)
      .def_readwrite("n_lfcc", &LfccOptions::n_lfcc)
      .def_readwrite("f_min", &LfccOptions::f_min)
      .def_readwrite("f_max", &LfccOptions::f_max)
      .def_readwrite("log_lf", &LfccOptions::log_lf)
      .def("check", &LfccOptions::Check)
      .def("frames", &LfccOptions::Frames, py::arg("samples"))
      .def("__repr__", &LfccOptions::ToString);

  py::class_<Bank>(module, "Bank")
      .def(py::init<Array<int16_t>, Array<int64_t>, int64_t>(), py::arg("samples").noconvert(),
           py::arg("starts").noconvert(), py::arg("cache_bytes"))
      .def_property_readonly("cached_bytes", [](const Bank& bank) { return bank.responses.bytes(); });

  py::class_<Plan>(module, "Plan")
      .def(py::init<Array<uint8_t>, Array<double>, Array<int64_t>, Array<int64_t>, Array<int64_t>>(),
           py::arg("kinds").noconvert(), py::arg("snrs").noconvert(), py::arg("firsts").noconvert(),
           py::arg("records").noconvert(), py::arg("offsets").noconvert());

  DefineFor<float>(&module);
  DefineFor<int16_t>(&module);

  module.def("instruction_set", [] { return srctrace::ActiveKernel().name; });
  module.def("instruction_sets", [] {
    std::vector<std::string> names;
    for (const srctrace::Kernel* kernel : srctrace::AvailableKernels()) names.emplace_back(kernel->name);
    return names;
  });
}
