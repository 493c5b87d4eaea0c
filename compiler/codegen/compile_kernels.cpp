#include "compiler/codegen/compile_kernels.h"

#include "compiler/codegen/cpu/emit.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <system_error>
#include <thread>

namespace gmc::codegen {
namespace {

// Phases of one object: many enough to share code and what LLVM does once a module, few enough to keep threads busy.
constexpr size_t phases_per_object = 12, most_objects = 16;

// A phase that some kernels have.
struct Unit {
  const kernel::Kernel* kernel;
  const kernel::Phase* phase;
  std::string symbol, kind;
  KernelCode code;
};

ObjectCode compile_object(const std::vector<Unit*>& units, const Target& target, llvm::TargetMachine& machine,
                          bool keep_text) {
  llvm::LLVMContext context;
  ObjectCode out;
  out.name = units[0]->symbol;
  auto module = make_module(context, out.name, machine);
  RegionFunctions shared;
  for (Unit* unit : units) unit->code = emit_phase(*module, *unit->kernel, *unit->phase, unit->symbol, target, shared);
  optimise(*module, machine);
  if (keep_text) {
    out.llvm_ir = print_module(*module);
    auto again = llvm::CloneModule(*module);
    out.assembly = emit_assembly(*again, machine);
  }
  out.bytes = emit_object(*module, machine);
  return out;
}

// Like phases side by side, in objects of about the same size.
std::vector<std::vector<Unit*>> objects_of(std::vector<Unit>& units, const Target& target) {
  std::vector<Unit*> sorted;
  for (Unit& unit : units) {
    unit.kind = kind_of(*unit.phase, target);
    sorted.push_back(&unit);
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const Unit* a, const Unit* b) { return a->kind < b->kind; });
  const size_t count = std::min((units.size() + phases_per_object - 1) / phases_per_object, most_objects);
  std::vector<std::vector<Unit*>> objects(count);
  for (size_t i = 0; i < sorted.size(); ++i) objects[i * count / sorted.size()].push_back(sorted[i]);
  return objects;
}

}  // namespace

int prepare(kernel::Kernel& kernel, const Target& target) { return prepare_products(kernel, target); }

Code compile_kernels(const std::vector<const kernel::Kernel*>& kernels, const Target& target, int jobs,
                     bool keep_text) {
  std::vector<Unit> units;
  std::map<std::string, size_t> known;      // by symbol
  std::vector<std::vector<size_t>> phases;  // the units of each kernel
  for (const kernel::Kernel* kernel : kernels) {
    phases.emplace_back();
    for (const kernel::Phase& phase : kernel->phases) {
      const std::string symbol = name_of(identity_of(*kernel, phase), "gmc");
      const auto [unit, is_new] = known.try_emplace(symbol, units.size());
      if (is_new) units.push_back({kernel, &phase, symbol, {}, {}});
      phases.back().push_back(unit->second);
    }
  }
  const auto objects = objects_of(units, target);
  Code out;
  out.objects.resize(objects.size());
  // Each thread has a target machine of its own; each object an LLVM context.
  const size_t wanted = jobs > 0 ? static_cast<size_t>(jobs) : std::max(1u, std::thread::hardware_concurrency());
  std::atomic<size_t> next{0};
  const size_t threads = std::min(objects.size(), wanted);
  std::vector<std::exception_ptr> problems(threads);
  auto run = [&](size_t worker) {
    try {
      const auto machine = make_target_machine(target);
      for (size_t i = next++; i < objects.size(); i = next++)
        out.objects[i] = compile_object(objects[i], target, *machine, keep_text);
    } catch (...) {
      problems[worker] = std::current_exception();
    }
  };
  std::vector<std::thread> pool;
  try {
    for (size_t t = 1; t < threads; ++t) pool.emplace_back(run, t);
  } catch (const std::system_error&) {
    // No more threads to be had: those there are share the work.
  }
  if (threads > 0) run(0);
  for (std::thread& t : pool) t.join();
  for (const std::exception_ptr& problem : problems)
    if (problem) std::rethrow_exception(problem);
  for (const auto& of_kernel : phases) {
    KernelCode& code = out.kernels.emplace_back();
    for (size_t i : of_kernel) {
      const KernelCode& phase = units[i].code;
      code.functions.insert(code.functions.end(), phase.functions.begin(), phase.functions.end());
      code.scratch_bytes = std::max(code.scratch_bytes, phase.scratch_bytes);
    }
  }
  return out;
}

}  // namespace gmc::codegen
