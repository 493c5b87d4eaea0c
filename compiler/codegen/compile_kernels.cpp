#include "compiler/codegen/compile_kernels.h"

#include "compiler/codegen/cpu/emit.h"
#include "runtime/base/share_out.h"

#include <algorithm>
#include <map>

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

// What one place calls becomes part of it: a function of its own costs half a millisecond. Micro-kernels have all
// registers to themselves.
void inline_parts(llvm::Module& module) {
  for (llvm::Function& f : llvm::make_early_inc_range(module)) {
    if (!f.hasInternalLinkage() || !f.hasOneUse() || f.getName().starts_with("micro")) continue;
    auto* call = llvm::dyn_cast<llvm::CallBase>(*f.user_begin());
    llvm::InlineFunctionInfo info;
    if (call && llvm::InlineFunction(*call, info).isSuccess()) f.eraseFromParent();
  }
}

ObjectCode compile_object(const std::vector<Unit*>& units, const Target& target, bool keep_text) {
  llvm::LLVMContext context;
  const auto machine = make_target_machine(target);
  ObjectCode out;
  out.name = units[0]->symbol;
  auto module = make_module(context, out.name, *machine);
  RegionFunctions shared;
  for (Unit* unit : units) unit->code = emit_phase(*module, *unit->kernel, *unit->phase, unit->symbol, target, shared);
  inline_parts(*module);
  optimise(*module, *machine);
  if (keep_text) {
    out.llvm_ir = print_module(*module);
    auto again = llvm::CloneModule(*module);
    out.assembly = emit_assembly(*again, *machine);
  }
  out.bytes = emit_object(*module, *machine);
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
  share_out(objects.size(), jobs, [&](size_t i) { out.objects[i] = compile_object(objects[i], target, keep_text); });
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
