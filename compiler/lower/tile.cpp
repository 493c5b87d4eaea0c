#include "compiler/lower/tile.h"

#include <algorithm>
#include <array>

namespace gmc::lower {
namespace {

using kernel::Instruction;
using Kind = Instruction::Kind;

bool has(const kernel::Region& r, Kind kind) {
  return std::any_of(r.body.begin(), r.body.end(), [&](const Instruction& in) { return in.kind == kind; });
}

// Calls visit(strides) for everything of the region that runs along its axes.
template <class Region, class Visit>
void for_each_strides(Region& r, Visit visit) {
  for (auto& in : r.body) {
    if (kernel::has_access(in)) visit(in.access.strides);
    for (auto& guard : in.guards) visit(guard.at.strides);
  }
}

void remove_axis(kernel::Region& r, size_t axis) {
  const auto at = static_cast<std::ptrdiff_t>(axis);
  r.extents.erase(r.extents.begin() + at);
  for_each_strides(r, [&](Shape& strides) { strides.erase(strides.begin() + at); });
}

bool continues(const kernel::Region& r, size_t axis) {
  bool all = true;
  for_each_strides(r, [&](const Shape& strides) { all &= strides[axis] == strides[axis + 1] * r.extents[axis + 1]; });
  return all;
}

// Whether something is read against the grain: a step along the columns goes far, one along the rows does not.
bool reads_across(const kernel::Region& r) {
  const size_t columns = r.extents.size() - 1;
  return std::any_of(r.body.begin(), r.body.end(), [&](const Instruction& in) {
    return in.kind == Kind::load && std::abs(in.access.strides[columns]) >= 16 &&
           std::abs(in.access.strides[columns - 1]) == 1;
  });
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Tiles of at most `largest`, in a number that 2 and 4 threads share evenly.
int64_t even_tiles(int64_t total, int64_t largest, int64_t step = 1) {
  const int64_t tiles = ceil_div(total, largest);
  if (tiles < 2) return std::min(total, largest);
  return ceil_div(ceil_div(total, ceil_div(tiles, 4) * 4), step) * step;
}

}  // namespace

void collapse_axes(kernel::Region& r) {
  const bool reduces = has(r, Kind::row) || has(r, Kind::fold);
  const size_t columns = r.extents.size() - 1;
  for (size_t axis = columns + 1; axis-- > 0 && r.extents.size() > 1;)
    if (r.extents[axis] == 1 && (axis < r.extents.size() - 1 || !reduces)) remove_axis(r, axis);
  for (size_t axis = r.extents.size() - 1; axis-- > 0;) {
    const size_t next = axis + 1;
    if (reduces && next == r.extents.size() - 1) continue;
    if (!continues(r, axis)) continue;
    r.extents[next] *= r.extents[axis];
    remove_axis(r, axis);
  }
  if (r.extents.size() > 1) return;
  r.extents.insert(r.extents.begin(), 1);
  for_each_strides(r, [](Shape& strides) { strides.insert(strides.begin(), 0); });
}

bool choose_columns(kernel::Region& r) {
  constexpr int64_t few = 4, enough = 8;
  const size_t last = r.extents.size() - 1;
  if (has(r, Kind::row) || has(r, Kind::fold) || r.extents[last] > few || r.extents[last] < 2) return false;
  // Steps of 1 and 2 are vectors' own; of others the shortest touch the fewest lines.
  const auto steps = [&](size_t axis) {
    int64_t sum = 0;
    for (const Instruction& in : r.body)
      if (in.kind != Kind::index && kernel::has_access(in)) {
        const int64_t stride = in.access.strides[axis];
        sum += stride >= 0 && stride <= 2 ? 0 : std::abs(stride);
      }
    return sum;
  };
  size_t best = last;
  for (size_t axis = 0; axis < last; ++axis) {
    if (r.extents[axis] < enough && (steps(axis) > 0 || r.extents[axis] <= r.extents[last])) continue;
    const std::pair now{steps(axis), -r.extents[axis]}, before{steps(best), -r.extents[best]};
    if (best == last || now < before) best = axis;
  }
  if (best == last) return false;
  const auto to_end = [&](Shape& s) {
    std::rotate(s.begin() + static_cast<ptrdiff_t>(best), s.begin() + static_cast<ptrdiff_t>(best) + 1, s.end());
  };
  to_end(r.extents);
  for_each_strides(r, to_end);
  return true;
}

void pair_up(kernel::Region& r) {
  const size_t pairs = r.extents.size() - 2;
  for (const Instruction& in : r.body)
    if (in.kind == Kind::store && (in.access.strides[pairs] != 1 || in.access.strides.back() != 2)) return;
  if (r.extents[pairs] != 2 || has(r, Kind::row) || has(r, Kind::fold)) return;
  std::vector<Instruction> body;
  std::vector<std::array<int, 2>> now;  // what each instruction has become, for either of the two
  for (const Instruction& in : r.body) {
    bool differ = kernel::has_access(in) && in.access.strides[pairs] != 0;
    for (const kernel::Guard& guard : in.guards) differ |= guard.at.strides[pairs] != 0;
    for (int operand : in.operands)
      differ |= now[static_cast<size_t>(operand)][0] != now[static_cast<size_t>(operand)][1];
    now.emplace_back();
    const bool stores = in.kind == Kind::store;
    for (size_t k = 0; k < (differ && !stores ? 2 : 1); ++k) {
      Instruction copy = in;
      if (kernel::has_access(in)) copy.access.base += static_cast<int64_t>(k) * in.access.strides[pairs];
      for (kernel::Guard& guard : copy.guards) guard.at.base += static_cast<int64_t>(k) * guard.at.strides[pairs];
      for (int& operand : copy.operands) operand = now[static_cast<size_t>(operand)][k];
      if (stores) copy.operands.push_back(now[static_cast<size_t>(in.operands[0])][1]);
      body.push_back(std::move(copy));
      now.back()[k] = static_cast<int>(body.size()) - 1;
    }
    if (!differ || stores) now.back()[1] = now.back()[0];
  }
  r.body = std::move(body);
  remove_axis(r, pairs);
}

void collapse_batches(kernel::Region& r) {
  kernel::Product& p = *r.product;
  const auto remove_batch = [&](size_t axis) {
    remove_axis(r, axis);
    for (Shape* strides : {&p.at_a.strides, &p.at_b.strides})
      strides->erase(strides->begin() + static_cast<std::ptrdiff_t>(axis));
  };
  for (size_t axis = r.extents.size() - 2; axis-- > 0;) {
    if (r.extents[axis] == 1) {
      remove_batch(axis);
      continue;
    }
    const size_t next = axis + 1;
    const bool rows = next == r.extents.size() - 2;
    const int64_t a = rows ? (p.transpose_a ? 1 : p.lda) : p.at_a.strides[next], b = rows ? 0 : p.at_b.strides[next];
    if (p.at_a.strides[axis] != a * r.extents[next] || p.at_b.strides[axis] != b * r.extents[next]) continue;
    if (!continues(r, axis)) continue;
    r.extents[next] *= r.extents[axis];
    remove_batch(axis);
  }
}

void choose_tiles(kernel::Region& r) {
  const int64_t rows = std::max<int64_t>(1, kernel::rows_of(r)), columns = std::max<int64_t>(1, kernel::columns_of(r));
  int64_t cost = 2;
  for (const Instruction& in : r.body) {
    if (in.kind == Kind::compute) cost += kernel::function_named(in.function)->cost;
    if (in.kind == Kind::random) cost += 60;
    if (kernel::has_access(in) && in.kind != Kind::fold) cost += in.kind == Kind::gather ? 8 : 1;
  }
  const int64_t elements = std::clamp<int64_t>(262144 / cost, 2048, 65536);
  const bool folds = has(r, Kind::fold), by_row = has(r, Kind::row);
  // Column sums alone: a tile takes all rows of a block of columns and needs no second phase. Strips of what caches do
  // not hold would be read in short pieces.
  constexpr int64_t strip = 64, cached = 1 << 18;
  if (folds && !by_row && columns >= 2 * strip && rows * columns <= cached) {
    r.tile_rows = rows;
    r.tile_columns = std::min(columns, ceil_div(std::max(elements / rows, strip), strip) * strip);
    return;
  }
  if (rows == 1 && !by_row) {
    r.tile_rows = 1;
    r.tile_columns = even_tiles(columns, ceil_div(elements, strip) * strip, strip);
    return;
  }
  // A tile of a transposition goes through whole lines of what it reads: 16 elements of each of 16 lines, which stay in
  // the first cache even where they fall into one set of it.
  if (!folds && !by_row && reads_across(r)) {
    r.tile_columns = std::min<int64_t>(columns, 16);
    r.tile_rows = std::min(rows, std::max<int64_t>(16, elements / 4 / r.tile_columns / 16 * 16));
    return;
  }
  r.tile_columns = columns;
  r.tile_rows = std::clamp<int64_t>(elements / columns, 1, rows);
  r.tile_rows = folds ? std::max(r.tile_rows, ceil_div(rows, 32)) : even_tiles(rows, r.tile_rows);
}

}  // namespace gmc::lower
