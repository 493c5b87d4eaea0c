#include "compiler/codegen/part.h"

#include "compiler/codegen/cpu/row_passes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <string_view>

namespace gmc::codegen {
namespace {

using kernel::Instruction;
using kernel::Region;

// Numbers the parameters anew.
class Numbering {
public:
  Numbering(const kernel::Kernel& kernel, Part& part) : kernel_(kernel), part_(part) {}

  void apply(int& parameter) {
    if (parameter < 0) return;
    const auto is_this = [&](const Argument& a) { return a.parameter == parameter; };
    auto it = std::find_if(part_.arguments.begin(), part_.arguments.end(), is_this);
    if (it == part_.arguments.end()) {
      part_.kernel.parameters.push_back(kernel_.parameters[static_cast<size_t>(parameter)]);
      it = part_.arguments.insert(it, {parameter, {}, {}});
    }
    parameter = static_cast<int>(it - part_.arguments.begin());
  }

private:
  const kernel::Kernel& kernel_;
  Part& part_;
};

// Puts numbers into the table and their places into the region. Equal numbers of a kind share a place.
class Tabulator {
public:
  Tabulator(Region& region, std::vector<int64_t>& table)
      : region_(region), table_(table), first_(static_cast<int64_t>(table.size())) {}

  void apply() {
    // Rows are divided by these, also the one tile of an empty space.
    for (size_t axis = 1; axis + 1 < region_.extents.size(); ++axis)
      table_.push_back(std::max<int64_t>(1, region_.extents[axis]));
    for (Instruction& in : region_.body) {
      if (kernel::has_access(in)) apply(in.access);
      for (kernel::Guard& guard : in.guards) {
        apply(guard.at);
        number(Kind::extent, guard.extent);
      }
      if (in.kind == Instruction::Kind::random) stream(in.stream);
    }
    constants();
  }

private:
  enum class Kind { base, extent, stream, constant, stride };  // strides of one axis and those of the next differ

  int64_t place(int kind, int64_t value) {
    const auto [it, added] = places_.try_emplace({kind, value}, static_cast<int64_t>(table_.size()) - first_);
    if (added) table_.push_back(value);
    return 1 + it->second;
  }
  void number(Kind kind, int64_t& value) {
    if (value != 0) value = place(static_cast<int>(kind), value);
  }
  void apply(kernel::Access& access) {
    number(Kind::base, access.base);
    for (size_t axis = 0; axis + 1 < region_.extents.size(); ++axis) {
      int64_t& stride = access.strides[axis];
      if (region_.extents[axis] == 1) stride = 0;
      if (stride != 0) stride = place(static_cast<int>(Kind::stride) + static_cast<int>(axis), stride);
    }
  }
  void stream(uint64_t& stream) {
    stream = static_cast<uint64_t>(place(static_cast<int>(Kind::stream), static_cast<int64_t>(stream)));
  }

  // Those that arithmetic reads as it reads any value. 0, 1 and -1 may make it simpler.
  void constants() {
    std::vector<bool> known(region_.body.size(), false);
    for (const Instruction& in : region_.body)
      for (int operand : in.operands)
        if (in.kind != Instruction::Kind::compute || !reads_any(in.function))
          known[static_cast<size_t>(operand)] = true;
    for (size_t i = 0; i < region_.body.size(); ++i) {
      Instruction& in = region_.body[i];
      if (in.kind != Instruction::Kind::constant || known[i] || (in.dtype != DType::f32 && in.dtype != DType::f64))
        continue;
      if (in.value == 0 || std::abs(in.value) == 1 || !std::isfinite(in.value)) continue;
      const int64_t bits = in.dtype == DType::f32
                               ? static_cast<int64_t>(std::bit_cast<uint32_t>(static_cast<float>(in.value)))
                               : std::bit_cast<int64_t>(in.value);
      in.stream = static_cast<uint64_t>(place(static_cast<int>(Kind::constant), bits));
      in.value = 0;
    }
  }
  static bool reads_any(std::string_view function) {
    return function == "add" || function == "sub" || function == "mul" || function == "max" || function == "min";
  }

  Region& region_;
  std::vector<int64_t>& table_;
  const int64_t first_;
  std::map<std::pair<int, int64_t>, int64_t> places_;
};

// Whether the condition can be computed in 32 bits in a region of these extents.
bool fits_32_bits(const kernel::Guard& guard, const Shape& extents, const Target& target) {
  int64_t reach = std::abs(guard.at.base) + guard.extent;
  for (size_t axis = 0; axis < extents.size(); ++axis)
    reach += std::abs(guard.at.strides[axis]) * (extents[axis] + target.lanes);
  return reach < std::numeric_limits<int32_t>::max();
}

bool has_wide_guards(const Region& region, const Target& target) {
  for (const Instruction& in : region.body)
    for (const kernel::Guard& guard : in.guards)
      if (!fits_32_bits(guard, region.extents, target)) return true;
  return false;
}

// A number of the same kind, which is known where that is.
int64_t representative(int64_t columns, const Target& target) {
  if (knows_columns(columns, target)) return columns;
  return columns % target.lanes == 0 ? 16 * target.lanes : 16 * target.lanes + 1;
}

void forget_rows(Region& region, bool all) {
  for (size_t axis = 0; axis + 1 < region.extents.size(); ++axis)
    if (all || axis == 0) region.extents[axis] = std::min<int64_t>(region.extents[axis], 2);
}

void forget_sizes(Region& region, const Target& target) {
  const int64_t lanes = target.lanes, columns = kernel::columns_of(region);
  forget_rows(region, !knows_columns(columns, target));
  region.tile_rows = 1;
  region.extents.back() = representative(columns, target);
  if (region.tile_columns >= columns)
    region.tile_columns = std::max<int64_t>(1, region.extents.back());
  else if (!knows_columns(columns, target))
    region.tile_columns = region.tile_columns % lanes == 0 ? lanes : lanes + 1;
}

}  // namespace

bool knows_columns(int64_t columns, const Target& target) {
  return columns <= target.lanes || (columns % target.lanes != 0 && columns <= 8 * target.lanes);
}

Part part_of(const kernel::Kernel& kernel, const Region& whole, const Target& target) {
  Part part;
  part.kernel.name = kernel.name;
  part.kernel.phases.push_back({{whole}});
  Region& region = part.kernel.phases[0].regions[0];
  part.wide_guards = has_wide_guards(whole, target);
  std::vector<int64_t> table;
  if (!whole.product) {
    const int64_t columns = kernel::columns_of(whole), widest = std::min(whole.tile_columns, columns);
    const RowPasses passes(region);
    const int64_t saved_bytes = (widest + target.lanes) * passes.saved_element / 64 * 64 + 64;
    part.tiles = kernel::tiles_of(whole);
    part.scratch_bytes = saved_bytes * static_cast<int64_t>(passes.saved.size());
    table = {kernel::rows_of(whole),
             columns,
             whole.tile_rows,
             whole.tile_columns,
             std::max<int64_t>(1, (columns + whole.tile_columns - 1) / whole.tile_columns),
             saved_bytes};
  }
  part.knows_numbers = !whole.product && knows_columns(kernel::columns_of(whole), target);
  if (!part.knows_numbers) Tabulator(region, table).apply();
  if (whole.product) {
    region.product.reset();
    region.tile_rows = region.tile_columns = 1;
    forget_rows(region, true);
    region.extents.back() = std::min<int64_t>(region.extents.back(), 2);
  } else {
    forget_sizes(region, target);
  }
  part.kernel.parameters.push_back(
      {kernel::Parameter::Mode::in, DType::i64, static_cast<int64_t>(table.size()), "numbers"});
  part.arguments.push_back({-1, std::move(table), {}});
  Numbering numbering(kernel, part);
  for (Instruction& in : region.body) numbering.apply(in.parameter);
  return part;
}

}  // namespace gmc::codegen
