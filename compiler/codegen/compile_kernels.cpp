#include "compiler/codegen/compile_kernels.h"

#include "compiler/codegen/cpu/emit.h"
#include "runtime/base/share_out.h"

#include <algorithm>
#include <map>

namespace gmc::codegen {
namespace {

// Parts of one object: many enough to share code and what LLVM does once a module, few enough to keep threads busy.
constexpr size_t parts_per_object = 12, most_objects = 16;

// What one or more regions are computed by.
struct Unit {
  Part part;
  std::string symbol, kind;
  KernelCode code;
};

// A region of one kernel.
struct Use {
  size_t unit;
  std::vector<Argument> arguments;
  int64_t tiles, scratch_bytes;
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

template <class Define>
ObjectCode compile_object(const std::string& name, const Target& target, bool keep_text, Define define) {
  llvm::LLVMContext context;
  const auto machine = make_target_machine(target);
  ObjectCode out;
  out.name = name;
  auto module = make_module(context, out.name, *machine);
  define(*module);
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

// Like parts side by side, in objects of about the same size.
std::vector<std::vector<Unit*>> objects_of(std::vector<Unit>& units, const Target& target) {
  std::vector<Unit*> sorted;
  for (Unit& unit : units) {
    unit.kind = kind_of(unit.part, target);
    sorted.push_back(&unit);
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const Unit* a, const Unit* b) { return a->kind < b->kind; });
  const size_t count = std::min((units.size() + parts_per_object - 1) / parts_per_object, most_objects);
  std::vector<std::vector<Unit*>> objects(count);
  for (size_t i = 0; i < sorted.size(); ++i) objects[i * count / sorted.size()].push_back(sorted[i]);
  return objects;
}

class Compilation {
public:
  Compilation(const Target& target, bool keep_text) : target_(target), keep_text_(keep_text) {}

  void add(const kernel::Kernel& kernel) {
    uses_.emplace_back();
    for (const kernel::Phase& phase : kernel.phases) {
      uses_.back().emplace_back();
      for (const kernel::Region& region : phase.regions) uses_.back().back().push_back(use(kernel, region));
    }
  }

  Code run(int jobs) {
    Code out;
    for (const auto& kernel : uses_)
      for (const auto& phase : kernel)
        if (phase.size() > 1) tables_.try_emplace(symbol_of(table_of(phase)), table_of(phase));
    const auto objects = objects_of(units_, target_);
    const size_t count = objects.size() + !tables_.empty();
    out.objects.resize(count);
    share_out(count, jobs,
              [&](size_t i) { out.objects[i] = i < objects.size() ? compile_units(objects[i]) : compile_tables(); });
    for (const auto& kernel : uses_) {
      out.kernels.emplace_back();
      for (const auto& phase : kernel) call(phase, out.kernels.back());
    }
    return out;
  }

private:
  Use use(const kernel::Kernel& kernel, const kernel::Region& region) {
    Part part = part_of(kernel, region, target_);
    std::string symbol = name_of(identity_of(part), "gmc");
    const auto [known, is_new] = known_.try_emplace(symbol, units_.size());
    Use use{known->second, part.arguments, part.tiles, part.scratch_bytes};
    if (is_new) units_.push_back({std::move(part), std::move(symbol), {}, {}});
    return use;
  }

  std::vector<TableEntry> table_of(const std::vector<Use>& phase) const {
    std::vector<TableEntry> table;
    for (const Use& u : phase) table.push_back({units_[u.unit].symbol, u.tiles, u.arguments.size()});
    return table;
  }
  static std::string symbol_of(const std::vector<TableEntry>& table) { return name_of(identity_of(table), "gmc"); }

  ObjectCode compile_units(const std::vector<Unit*>& units) const {
    return compile_object(units[0]->symbol, target_, keep_text_, [&](llvm::Module& module) {
      for (Unit* unit : units) unit->code = emit_part(module, unit->part, unit->symbol, target_);
    });
  }
  ObjectCode compile_tables() const {
    return compile_object(tables_.begin()->first, target_, keep_text_, [&](llvm::Module& module) {
      for (const auto& [symbol, table] : tables_) emit_table(module, symbol, table);
    });
  }

  // Appends what calling the phase takes.
  void call(const std::vector<Use>& phase, KernelCode& out) const {
    for (const Use& u : phase)
      out.scratch_bytes = std::max({out.scratch_bytes, u.scratch_bytes, units_[u.unit].code.scratch_bytes});
    if (phase.size() == 1) {
      const Unit& unit = units_[phase[0].unit];
      for (TileFunction function : unit.code.functions) {
        function.arguments = phase[0].arguments;
        if (!unit.part.kernel.phases[0].regions[0].product) function.tiles = phase[0].tiles;
        out.functions.push_back(std::move(function));
      }
      return;
    }
    if (phase.empty()) return;
    TileFunction all{symbol_of(table_of(phase)), 0, {}};
    for (const Use& u : phase) {
      all.tiles += u.tiles;
      all.arguments.insert(all.arguments.end(), u.arguments.begin(), u.arguments.end());
    }
    out.functions.push_back(std::move(all));
  }

  const Target& target_;
  bool keep_text_;
  std::vector<Unit> units_;
  std::map<std::string, size_t> known_;                    // units by symbol
  std::vector<std::vector<std::vector<Use>>> uses_;        // of each kernel's phases
  std::map<std::string, std::vector<TableEntry>> tables_;  // by symbol
};

}  // namespace

int prepare(kernel::Kernel& kernel, const Target& target) { return prepare_products(kernel, target); }

Code compile_kernels(const std::vector<const kernel::Kernel*>& kernels, const Target& target, int jobs,
                     bool keep_text) {
  Compilation compilation(target, keep_text);
  for (const kernel::Kernel* kernel : kernels) compilation.add(*kernel);
  return compilation.run(jobs);
}

}  // namespace gmc::codegen
