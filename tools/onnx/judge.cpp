#include "tools/onnx/judge.h"

#include "runtime/files/reader.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace gmc::onnx {
namespace {

namespace fs = std::filesystem;

// What a file of a data set holds: nothing, a tensor or a sequence of them.
struct Datum {
  ValueInfo::Kind kind = ValueInfo::Kind::none;
  std::vector<HostTensor> items;
};

std::vector<Datum> read_data(const fs::path& folder, const std::string& prefix,
                             const std::vector<const ValueInfo*>& declared) {
  std::vector<Datum> out;
  for (size_t i = 0;; ++i) {
    const fs::path path = folder / fmt::format("{}_{}.pb", prefix, i);
    if (!fs::exists(path)) return out;
    if (i >= declared.size())
      fail("the model has {} {}s, {} is more", declared.size(), prefix, path.filename().string());
    try {
      const ValueData v = read_value(files::read_file(path.string()), *declared[i]);
      out.push_back({v.kind, {}});
      for (const TensorData& t : v.items) out.back().items.push_back(host_tensor(t));
    } catch (const Unsupported&) {
      throw;
    } catch (const Error& e) {
      fail("{}: {}", path.filename().string(), e.what());
    }
  }
}

std::vector<fs::path> data_sets(const fs::path& folder) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory() && entry.path().filename().string().starts_with("test_data_set_"))
      out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

// Inputs of the model that its files give values for: those without a default.
std::vector<const ValueInfo*> wanted_inputs(const Model& m) {
  std::vector<const ValueInfo*> out;
  for (const ValueInfo& v : m.graph.inputs)
    if (std::none_of(m.graph.initializers.begin(), m.graph.initializers.end(),
                     [&](const TensorData& t) { return t.name == v.name; }))
      out.push_back(&v);
  return out;
}

void check_kinds(const Model& m) {
  const auto refuse = [](const ValueInfo& v) {
    if (v.kind == ValueInfo::Kind::other) unsupported("'{}' is no tensor", plain_name(v.name));
    if (v.kind == ValueInfo::Kind::tensor && v.element != Element::undefined) need_dtype(v.element);
  };
  for (const ValueInfo* v : wanted_inputs(m)) refuse(*v);
  for (const ValueInfo& v : m.graph.outputs) refuse(v);
}

// Imports with as many constants as the shapes need.
Imported import_for(const Model& m, const std::vector<const ValueInfo*>& wanted, const std::vector<Datum>& inputs) {
  Request request;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name = wanted[i]->name;
    std::vector<graph::TensorType> types;
    for (const HostTensor& t : inputs[i].items) types.push_back({t.dtype, t.shape});
    if (inputs[i].kind == ValueInfo::Kind::none) request.absent.insert(name);
    if (inputs[i].kind == ValueInfo::Kind::tensor) request.types[name] = types.at(0);
    if (inputs[i].kind == ValueInfo::Kind::sequence) request.sequences[name] = types;
  }
  for (;;) {
    try {
      return import_model(m, request);
    } catch (const NeedsConstant& e) {
      const size_t before = request.bound.size();
      for (size_t i = 0; i < inputs.size(); ++i)
        if (inputs[i].kind == ValueInfo::Kind::tensor &&
            std::find(e.inputs.begin(), e.inputs.end(), wanted[i]->name) != e.inputs.end())
          request.bound[wanted[i]->name] = inputs[i].items[0];
      if (request.bound.size() == before) throw Unsupported(e.what());
    }
  }
}

void judge_set(const Model& m, const fs::path& set, const Run& run, Verdict& verdict) {
  const auto wanted = wanted_inputs(m);
  std::vector<const ValueInfo*> results;
  for (const ValueInfo& v : m.graph.outputs) results.push_back(&v);
  const std::vector<Datum> inputs = read_data(set, "input", wanted), expected = read_data(set, "output", results);
  if (expected.empty()) fail("no output is expected");
  const Imported imported = import_for(m, wanted, inputs);
  TensorMap given;
  for (const Port& port : imported.inputs)
    for (size_t i = 0; i < inputs.size(); ++i)
      if (wanted[i]->name == port.given)
        given[port.name] = inputs[i].items.at(static_cast<size_t>(std::max<int64_t>(port.item, 0)));
  const TensorMap got = run(imported, given);
  for (size_t i = 0; i < expected.size(); ++i) {
    std::vector<const Port*> ports;
    for (const Port& port : imported.outputs)
      if (port.given == results[i]->name) ports.push_back(&port);
    const bool sequence = std::any_of(ports.begin(), ports.end(), [](const Port* p) { return p->item >= 0; });
    if (ports.size() != expected[i].items.size() ||
        (sequence != (expected[i].kind == ValueInfo::Kind::sequence) && !ports.empty()))
      fail("output '{}': expected {} tensors, got {}", plain_name(results[i]->name), expected[i].items.size(),
           ports.size());
    for (size_t k = 0; k < ports.size(); ++k) {
      const std::string problem = difference(expected[i].items[k], got.at(ports[k]->name), verdict.worst);
      if (!problem.empty()) fail("output '{}': {}", ports[k]->name, problem);
    }
  }
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

std::vector<std::string> find_tests(const std::string& root) {
  std::vector<std::string> out;
  std::error_code problem;
  if (fs::exists(fs::path(root) / "model.onnx")) out.emplace_back(".");
  fs::recursive_directory_iterator at(root, problem);
  if (problem) fail("cannot read the folder '{}': {}", root, problem.message());
  for (const auto& entry : at)
    if (entry.is_directory() && fs::exists(entry.path() / "model.onnx"))
      out.push_back(fs::relative(entry.path(), root).string());
  std::sort(out.begin(), out.end());
  return out;
}

std::string difference(const HostTensor& expected, const HostTensor& got, double& worst) {
  if (expected.dtype != got.dtype || expected.shape != got.shape)
    return fmt::format("expected {}{}, got {}{}", name_of(expected.dtype), to_string(expected.shape),
                       name_of(got.dtype), to_string(got.shape));
  const bool exact = !is_float(expected.dtype);
  const double relative = expected.dtype == DType::bf16 ? 0x1p-6 : 1e-3;
  if (exact && expected.bytes == got.bytes) return {};
  const std::vector<double> want = numbers_of(expected), have = numbers_of(got);
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double w = want[i], h = have[i];
    bool fits = w == h || (std::isnan(w) && std::isnan(h));
    if (!fits && !exact && std::isfinite(w) && std::isfinite(h)) {
      const double error = std::fabs(h - w) / (1e-7 + relative * std::fabs(w));
      worst = std::max(worst, error);
      fits = error <= 1;
    }
    if (!fits && wrong++ == 0) first = i;
  }
  if (wrong == 0) return {};
  return fmt::format("{} of {} elements differ, the first at {}: expected {}, got {}", wrong, want.size(), first,
                     want[first], have[first]);
}

Verdict judge(const std::string& folder, const Run& run) {
  Verdict verdict;
  try {
    const Model m = read(files::read_file((fs::path(folder) / "model.onnx").string()));
    check_kinds(m);
    const auto sets = data_sets(folder);
    if (sets.empty()) unsupported("there is no test data");
    for (const fs::path& set : sets) judge_set(m, set, run, verdict);
  } catch (const Unsupported& e) {
    return {Verdict::Kind::skipped, one_line(e.what()), 0};
  } catch (const std::exception& e) {
    return {Verdict::Kind::failed, one_line(e.what()), verdict.worst};
  }
  return verdict;
}

}  // namespace gmc::onnx
