#include "compiler/codegen/part.h"

#include "compiler/codegen/cpu/row_passes.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

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

// Guards are computed in 32 bits where the sizes allow it, so that code must know those.
bool has_far_guards(const Region& region, const Target& target) {
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

void generalise(Region& region, const Target& target) {
  const int64_t lanes = target.lanes, columns = kernel::columns_of(region);
  if (region.extents.size() > 1) region.extents[0] = std::min<int64_t>(region.extents[0], 2);
  region.tile_rows = 1;
  region.extents.back() = representative(columns, target);
  if (region.tile_columns >= columns)
    region.tile_columns = std::max<int64_t>(1, region.extents.back());
  else if (!knows_columns(columns, target))
    region.tile_columns = region.tile_columns % lanes == 0 ? lanes : lanes + 1;
}

// An epilogue is told which outputs there are.
void generalise_epilogue(Region& region) {
  for (int64_t* extent : {&region.extents.front(), &region.extents.back()}) *extent = std::min<int64_t>(*extent, 2);
}

}  // namespace

bool knows_columns(int64_t columns, const Target& target) {
  return columns <= target.lanes || (columns % target.lanes != 0 && columns <= 8 * target.lanes);
}

bool fits_32_bits(const kernel::Guard& guard, const Shape& extents, const Target& target) {
  int64_t reach = std::abs(guard.at.base) + guard.extent;
  for (size_t axis = 0; axis < extents.size(); ++axis)
    reach += std::abs(guard.at.strides[axis]) * (extents[axis] + target.lanes);
  return reach < std::numeric_limits<int32_t>::max();
}

Part part_of(const kernel::Kernel& kernel, const Region& whole, const Target& target) {
  Part part;
  part.kernel.name = kernel.name;
  part.kernel.phases.push_back({{whole}});
  Region& region = part.kernel.phases[0].regions[0];
  const bool any_size = !has_far_guards(whole, target);
  if (whole.product) {
    region.product.reset();
    region.tile_rows = region.tile_columns = 1;
    if (any_size) generalise_epilogue(region);
  } else {
    const int64_t columns = kernel::columns_of(whole), widest = std::min(whole.tile_columns, columns);
    const RowPasses passes(region);
    const int64_t saved_bytes = (widest + target.lanes) * passes.saved_element / 64 * 64 + 64;
    part.tiles = kernel::tiles_of(whole);
    part.scratch_bytes = saved_bytes * static_cast<int64_t>(passes.saved.size());
    part.kernel.parameters.push_back(
        {kernel::Parameter::Mode::in, DType::i64, static_cast<int64_t>(SizeSlot::count), "sizes"});
    part.arguments.push_back(
        {-1,
         {kernel::rows_of(whole), columns, whole.tile_rows, whole.tile_columns,
          std::max<int64_t>(1, (columns + whole.tile_columns - 1) / whole.tile_columns), saved_bytes},
         {}});
    if (any_size) generalise(region, target);
  }
  Numbering numbering(kernel, part);
  for (Instruction& in : region.body) numbering.apply(in.parameter);
  return part;
}

}  // namespace gmc::codegen
