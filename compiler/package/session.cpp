#include "compiler/package/session.h"

#include "compiler/package/jit.h"
#include "runtime/base/error.h"
#include "runtime/execute/executor.h"
#include "runtime/execute/lookup.h"
#include "runtime/libraries/onednn.h"
#include "runtime/routines/routines.h"

#include <cstring>
#include <exception>
#include <new>

namespace gmc::package {
namespace {

struct FreeAligned {
  void operator()(char* p) const { ::operator delete[](p, std::align_val_t{64}); }
};
struct DestroyContext {
  void operator()(execute::Context* c) const { execute::Context::destroy(c); }
};

graph::TensorType type_of(const execute::Tensor& t) {
  return {static_cast<DType>(t.dtype), Shape(t.extents, t.extents + t.rank)};
}

void check(execute::Status status, const execute::Message& message) {
  if (status != execute::Status::ok) fail("{}", message.text);
}

}  // namespace

struct Session::Impl {
  std::unique_ptr<char[], FreeAligned> bytes;
  Jit jit;
  std::vector<execute::Kernel> functions;
  std::unique_ptr<execute::Context, DestroyContext> context;

  const execute::Package* package() const { return reinterpret_cast<const execute::Package*>(bytes.get()); }
  const execute::Entry& entry(int i) const { return execute::entry_at(package(), static_cast<uint64_t>(i)); }
  std::string text(uint32_t offset) const { return execute::string_at(package(), offset); }
};

Session::Session(const Compiled& compiled, const SessionOptions& options) : impl_(std::make_unique<Impl>()) {
  const codegen::Target host = codegen::host_target();
  if (compiled.target.isa > host.isa)
    fail("code for {} cannot run here: this CPU is {} ({})", compiled.target.name, host.cpu,
         fmt::join(codegen::target_names(), ", "));
  impl_->bytes.reset(new (std::align_val_t{64}) char[compiled.package.size()]);
  std::memcpy(impl_->bytes.get(), compiled.package.data(), compiled.package.size());
  for (const codegen::ObjectCode& object : compiled.objects) impl_->jit.add(object.bytes, object.name);
  for (const std::string& symbol : compiled.functions) {
    const execute::Kernel routine = routines::find_routine(symbol.c_str());
    impl_->functions.push_back(routine ? routine : reinterpret_cast<execute::Kernel>(impl_->jit.lookup(symbol)));
  }
  execute::Options o;
  o.threads = options.threads;
  o.guard = options.guard;
  o.libraries = onednn();
  execute::Message message;
  impl_->context.reset(execute::Context::create(impl_->package(), impl_->functions.data(), o, &message));
  if (!impl_->context) fail("{}", message.text);
}

Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

int Session::entry_index(const std::string& entry) const {
  const int64_t index = execute::find_entry(impl_->package(), entry.c_str());
  if (index >= 0) return static_cast<int>(index);
  std::string names;
  for (uint64_t i = 0; i < impl_->package()->entry_count; ++i)
    names += (i ? ", " : "") + impl_->text(execute::entry_at(impl_->package(), i).name);
  fail_usage("unknown entry '{}': the program has {}", entry, names);
}

std::vector<Session::Slot> Session::inputs(int entry) const {
  std::vector<Slot> out;
  const execute::Entry& e = impl_->entry(entry);
  for (uint64_t i = 0; i < e.input_count; ++i) {
    const execute::Tensor& t = execute::input_of(impl_->package(), e, i);
    out.push_back({impl_->text(t.name), type_of(t)});
  }
  return out;
}

std::vector<Session::Slot> Session::outputs(int entry) const {
  std::vector<Slot> out;
  const execute::Entry& e = impl_->entry(entry);
  for (uint64_t i = 0; i < e.output_count; ++i) {
    const execute::Tensor& t = execute::output_of(impl_->package(), e, i);
    out.push_back({impl_->text(t.name), type_of(t)});
  }
  return out;
}

void Session::run(int entry, const std::vector<const void*>& inputs, const std::vector<void*>& outputs, uint64_t seed,
                  uint64_t step) {
  execute::Message message;
  check(impl_->context->run(static_cast<uint64_t>(entry), seed, step, inputs.data(), outputs.data(), &message),
        message);
}

void Session::run(int entry, const std::vector<const void*>& inputs, const std::vector<void*>& outputs, uint64_t seed,
                  uint64_t step, const std::function<void()>& after_trip) {
  // An exception does not pass through the runtime, which knows none.
  struct Caller {
    const std::function<void()>& call;
    std::exception_ptr problem;
  } caller{after_trip, nullptr};
  const execute::Watch watch{[](void* user) {
                               auto& c = *static_cast<Caller*>(user);
                               if (c.problem) return;
                               try {
                                 c.call();
                               } catch (...) {
                                 c.problem = std::current_exception();
                               }
                             },
                             &caller};
  execute::Message message;
  check(impl_->context->run(static_cast<uint64_t>(entry), seed, step, inputs.data(), outputs.data(), &message, nullptr,
                            &watch),
        message);
  if (caller.problem) std::rethrow_exception(caller.problem);
}

TensorMap Session::run(const std::string& name, const TensorMap& given, uint64_t seed, uint64_t step) {
  const int entry = entry_index(name);
  std::vector<const void*> in;
  for (const Slot& slot : inputs(entry)) {
    auto it = given.find(slot.name);
    if (it == given.end())
      fail("input '{}' of entry '{}' is missing: expected {}", slot.name, name, graph::to_string(slot.type));
    const graph::TensorType type{it->second.dtype, it->second.shape};
    if (!(type == slot.type))
      fail("input '{}' of entry '{}': expected {}, got {}", slot.name, name, graph::to_string(slot.type),
           graph::to_string(type));
    in.push_back(it->second.bytes.data());
  }
  TensorMap results;
  std::vector<void*> out;
  for (const Slot& slot : outputs(entry))
    out.push_back(results.emplace(slot.name, HostTensor(slot.type.dtype, slot.type.shape)).first->second.bytes.data());
  run(entry, in, out, seed, step);
  return results;
}

std::vector<std::pair<std::string, double>> Session::profile(int entry, const std::vector<const void*>& inputs,
                                                             const std::vector<void*>& outputs, int calls) {
  const execute::Entry& e = impl_->entry(entry);
  std::vector<uint64_t> times(e.step_count);
  std::vector<std::pair<std::string, double>> out;
  for (uint64_t i = 0; i < e.step_count; ++i)
    out.emplace_back(impl_->text(execute::step_at(impl_->package(), e.first_step + i).name), 0.0);
  for (int call = 0; call < calls; ++call) {
    execute::Message message;
    check(impl_->context->run(static_cast<uint64_t>(entry), 0, static_cast<uint64_t>(call), inputs.data(),
                              outputs.data(), &message, times.data()),
          message);
    for (size_t i = 0; i < out.size(); ++i) out[i].second += static_cast<double>(times[i]) * 1e-6 / calls;
  }
  return out;
}

TensorMap Session::state(bool parameters_only) const {
  TensorMap out;
  for (uint64_t i = 0; i < impl_->package()->state_count; ++i) {
    const execute::Tensor& t = execute::state_at(impl_->package(), i);
    if (parameters_only && !(t.flags & execute::state_parameter)) continue;
    const graph::TensorType type = type_of(t);
    HostTensor& tensor = out.emplace(impl_->text(t.name), HostTensor(type.dtype, type.shape)).first->second;
    if (!tensor.bytes.empty()) std::memcpy(tensor.bytes.data(), impl_->context->state(i), tensor.bytes.size());
  }
  return out;
}

void Session::set_state(const TensorMap& values, bool strict) {
  std::string problems;
  std::vector<std::pair<void*, const HostTensor*>> copies;
  for (const auto& [name, tensor] : values) {
    const int64_t index = execute::find_state(impl_->package(), name.c_str());
    if (index < 0) {
      problems += fmt::format("\n  '{}' is no state of this program", name);
      continue;
    }
    const graph::TensorType type = type_of(execute::state_at(impl_->package(), static_cast<uint64_t>(index))),
                            got{tensor.dtype, tensor.shape};
    if (!(type == got))
      problems += fmt::format("\n  '{}': expected {}, got {}", name, graph::to_string(type), graph::to_string(got));
    copies.emplace_back(impl_->context->state(static_cast<uint64_t>(index)), &tensor);
  }
  for (uint64_t i = 0; strict && i < impl_->package()->state_count; ++i) {
    const execute::Tensor& t = execute::state_at(impl_->package(), i);
    if ((t.flags & execute::state_parameter) && !values.count(impl_->text(t.name)))
      problems += fmt::format("\n  '{}' is missing", impl_->text(t.name));
  }
  if (!problems.empty()) fail("the weights do not fit the program:{}", problems);
  for (const auto& [to, tensor] : copies)
    if (!tensor->bytes.empty()) std::memcpy(to, tensor->bytes.data(), tensor->bytes.size());
}

void* Session::state_data(const std::string& name) const {
  const int64_t index = execute::find_state(impl_->package(), name.c_str());
  if (index < 0) fail("'{}' is no state of this program", name);
  return impl_->context->state(static_cast<uint64_t>(index));
}

int64_t Session::arena_bytes() const { return static_cast<int64_t>(impl_->package()->arena_bytes); }
int64_t Session::state_bytes() const { return static_cast<int64_t>(impl_->package()->state_bytes); }
uint64_t Session::plan_hash() const { return impl_->package()->plan_hash; }
int Session::threads() const { return impl_->context->threads(); }

}  // namespace gmc::package
