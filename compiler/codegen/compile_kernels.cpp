#include "compiler/codegen/compile_kernels.h"

#include "compiler/codegen/cpu/emit.h"
#include "compiler/codegen/llvm_door.h"
#include "runtime/base/share_out.h"

#include <algorithm>
#include <iterator>
#include <map>

namespace gmc::codegen {
namespace {

// Functions of one object: many enough to share what LLVM does once a module, few enough to keep threads busy.
constexpr size_t functions_per_object = 12;

// Like functions side by side, in objects of about the same size.
std::vector<std::vector<Leaf>> objects_of(std::map<std::string, Leaf> leaves) {
  std::vector<Leaf> sorted;
  for (auto& [symbol, leaf] : leaves) sorted.push_back(std::move(leaf));
  std::stable_sort(sorted.begin(), sorted.end(), [](const Leaf& a, const Leaf& b) { return a.kind < b.kind; });
  const size_t count = std::min((sorted.size() + functions_per_object - 1) / functions_per_object, most_objects);
  std::vector<std::vector<Leaf>> objects(count);
  for (size_t i = 0; i < sorted.size(); ++i) objects[i * count / sorted.size()].push_back(std::move(sorted[i]));
  return objects;
}

}  // namespace

int prepare(kernel::Kernel& kernel, const Target& target) { return prepare_products(kernel, target); }

CodePlan plan_code(const std::vector<const kernel::Kernel*>& kernels, const Target& target,
                   std::set<std::string>& known) {
  CodePlan out;
  std::map<std::string, Leaf> leaves;
  for (const kernel::Kernel* kernel : kernels) {
    KernelCode& code = out.kernels.emplace_back();
    for (const kernel::Phase& phase : kernel->phases) {
      std::vector<RegionCode> regions;
      for (const kernel::Region& region : phase.regions) {
        RegionCode& r = regions.emplace_back(code_of(*kernel, region, target));
        code.scratch_bytes = std::max(code.scratch_bytes, r.code.scratch_bytes);
        for (Leaf& leaf : r.leaves)
          if (known.insert(leaf.symbol).second) leaves.emplace(leaf.symbol, std::move(leaf));
      }
      if (regions.size() > 1)
        code.functions.push_back(side_by_side(regions));
      else if (!regions.empty())
        std::move(regions[0].code.functions.begin(), regions[0].code.functions.end(),
                  std::back_inserter(code.functions));
    }
  }
  out.objects = objects_of(std::move(leaves));
  return out;
}

ObjectCode compile_object(const std::vector<Leaf>& leaves, const Target& target, bool keep_text) {
  llvm::LLVMContext context;
  const auto machine = make_target_machine(target);
  ObjectCode out;
  out.name = leaves.at(0).symbol;
  auto module = make_module(context, out.name, *machine);
  for (const Leaf& leaf : leaves) leaf.define(*module);
  optimise(*module, *machine);
  if (keep_text) {
    out.llvm_ir = print_module(*module);
    auto again = llvm::CloneModule(*module);
    out.assembly = emit_assembly(*again, *machine);
  }
  out.bytes = emit_object(*module, *machine);
  return out;
}

Code compile_kernels(const std::vector<const kernel::Kernel*>& kernels, const Target& target, int jobs,
                     bool keep_text) {
  std::set<std::string> known;
  CodePlan plan = plan_code(kernels, target, known);
  Code out{std::move(plan.kernels), std::vector<ObjectCode>(plan.objects.size())};
  share_out(plan.objects.size(), jobs,
            [&](size_t i) { out.objects[i] = compile_object(plan.objects[i], target, keep_text); });
  return out;
}

}  // namespace gmc::codegen
