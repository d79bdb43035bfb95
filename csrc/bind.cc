// srctrace._C: the C++ core for Python. NumPy arrays in and out, no interpreter lock while it computes.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>

#include "lfcc.h"

namespace py = pybind11;

namespace {

using srctrace::LfccOptions;

template <typename Sample>
py::array_t<float> Lfcc(const py::array_t<Sample, py::array::c_style>& waves, LfccOptions options, int threads) {
  if (waves.ndim() != 2) throw py::value_error("waves must be (batch, samples)");
  const int64_t batch = waves.shape(0);
  const int64_t samples = waves.shape(1);
  const int64_t frames = options.Frames(samples);
  py::array_t<float> out({batch, int64_t{options.n_lfcc}, frames});
  const Sample* in = waves.data();
  float* values = out.mutable_data();
  {
    const py::gil_scoped_release release;
    srctrace::ComputeLfcc(in, batch, samples, options, threads, values);
  }
  return out;
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

  module.def("lfcc", &Lfcc<float>, py::arg("waves").noconvert(), py::arg("options"), py::arg("threads"));
  module.def("lfcc", &Lfcc<int16_t>, py::arg("waves").noconvert(), py::arg("options"), py::arg("threads"));
}
