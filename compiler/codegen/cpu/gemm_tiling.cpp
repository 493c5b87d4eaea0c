#include "compiler/codegen/cpu/gemm_parts.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <mutex>
#include <tuple>

namespace gmc::codegen {
namespace {

int64_t round_up(int64_t x, int64_t step) { return (x + step - 1) / step * step; }

// The numbers of this model were measured on a Zen 5 core; what it has to get right is the ranking.
struct Machine {
  double fma_per_cycle = 2, loads_per_cycle = 2, fma_latency = 4;
  double l2_line = 0.12;                                // cycles by which a line from L2 holds up a step of k
  double conflict_line = 0.5;                           // the same for lines that evict each other
  double l3_line = 0.45;                                // a line that does not stay in L2 until it is used again
  double copied_vector = 1.2, transposed_vector = 2.6;  // packing
  double unfolded_vector = 5, gathered_vector = 40;     // the same where columns are unfolded
  double swapped_vector = 6;                            // transposition of outputs
  double spilled_line = 2;                              // of accumulators that do not stay in the cache
  double output_vector = 3;                             // epilogue
  double overlap = 0.4;  // of it, where a micro-kernel is so small that it runs into the next one
  double overlapping_outputs = 12;
  double call = 30;        // of a micro-kernel
  double barrier = 4000;   // between packing and computing
  double shared_line = 6;  // that one core packed and another one reads
  double own_lines = 0.2;  // share of those where each core computes the columns that it packed, as the pool arranges
  double tile = 500;       // begin of a parallel tile
};

double as_double(int64_t x) { return static_cast<double>(x); }

// Lines a multiple of a page apart fall into the same few cache sets.
bool page_apart(int64_t stride) { return stride * 4 % 4096 == 0; }

// Cycles of all products on one core.
double cycles_of(const GemmShape& shape, const GemmTiling& t, const GemmLayout& layout, const Target& target) {
  const Machine machine;
  const double k = as_double(shape.k), lanes = as_double(layout.lanes);
  const GemmStrides columns = column_strides(shape, t), rows_at = row_strides(shape, t);
  const auto conflicts = [&](int64_t stride) { return shape.k >= 256 && page_apart(stride); };
  const bool column_conflict = !t.packed && conflicts(columns.k);
  const auto of_blocks = [&](double rows, double vectors) {
    double step = std::max(
        {rows * vectors / machine.fma_per_cycle, (rows + vectors) / machine.loads_per_cycle, machine.fma_latency});
    const double bytes = k / as_double(t.k_blocks) * (vectors * lanes * 4 + 64);
    if (column_conflict)
      step += vectors * machine.conflict_line;
    else if (bytes > 0.8 * as_double(target.l1_bytes))
      step += vectors * machine.l2_line;
    // A line of rows serves one step or 16. Eight ways of a cache set are left for rows that share it.
    const bool row_conflict = (!t.copied_rows && conflicts(rows_at.k)) || (conflicts(rows_at.outer) && rows > 8);
    step += (rows_at.outer == 1 ? 1 : rows / 16) * (row_conflict ? machine.conflict_line : machine.l2_line);
    const double outputs = rows * vectors,
                 share = outputs <= machine.overlapping_outputs && shape.k <= 64 ? machine.overlap : 1;
    return k * step + (machine.call + outputs * machine.output_vector) * share + (as_double(t.k_blocks) - 1) * outputs;
  };
  double total = 0;  // of one product, without packing
  const auto each_size = [](const Split& s, const auto& visit) {
    if (s.extra()) visit(as_double(s.base() + 1), as_double(s.extra()));
    visit(as_double(s.base()), as_double(s.parts - s.extra()));
  };
  each_size(layout.row_split, [&](double rows, double row_count) {
    each_size(layout.vector_split,
              [&](double vectors, double count) { total += row_count * count * of_blocks(rows, vectors); });
  });
  const double vectors = as_double(layout.vector_split.total);
  // Tiles with the same columns follow each other; inside a tile the rows are read again for every panel.
  const double enough = as_double(target.l2_bytes) / 2, line = 64, size = 4;
  const double column_bytes = as_double(t.columns) * k * size, row_bytes = as_double(t.rows) * k * size;
  const double column_visits = column_bytes / as_double(t.grid_columns) > enough ? as_double(t.grid_rows) : 1;
  const double kept_rows = row_bytes / as_double(t.grid_rows * t.k_blocks);
  const double row_visits = as_double(kept_rows > enough ? t.panels : row_bytes > enough ? t.grid_columns : 1);
  total += (column_bytes * column_visits + row_bytes * row_visits) / line * machine.l3_line;
  if (t.copied_rows) total += as_double(t.rows * t.grid_columns) / lanes * k * machine.copied_vector;
  if (t.swapped) total += vectors * as_double(t.rows) * machine.swapped_vector;
  if (layout.keeps_tile && t.scratch_bytes > target.l2_bytes / 4)
    total += vectors * as_double(t.rows * t.k_blocks) * machine.spilled_line;
  total = total * as_double(t.batches) + machine.tile * as_double(t.compute_tiles);
  if (!t.packed) return total;
  if (t.packs_panels) {
    const UnfoldedColumns unfolded(*shape.unfolded, layout.lanes);
    const double pieces = lanes / as_double(unfolded.piece) * as_double(std::abs(unfolded.n.back().stride));
    const double vector = unfolded.how == Unfolding::pieces       ? pieces * machine.copied_vector
                          : unfolded.how == Unfolding::transposed ? machine.unfolded_vector
                                                                  : machine.gathered_vector;
    return total + as_double(t.batches * t.grid_rows) * vectors * k * vector;
  }
  // A tile packs again for each of its products that has other columns than the one before it.
  const double packings = as_double(t.packs_in_tile ? std::max(t.packings, t.grid_batches) * t.grid_rows : t.packings);
  const double vector = columns.outer == 1 ? machine.copied_vector : machine.transposed_vector;
  if (t.compute_tiles > 1)
    total += as_double(t.packed_bytes) / line * machine.shared_line * (t.grid_rows > 1 ? 1 : machine.own_lines);
  return total + (t.packs_in_tile ? 0 : machine.barrier) + packings * vectors * k * vector;
}

// How much longer than a perfect division the tiles keep 1, 2, 4 and 8 threads busy when each thread takes the next
// tile as soon as it is free; few threads count more.
double imbalance_of(const GemmTiling& t, const GemmLayout& layout) {
  const auto size = [](const Split& parts, const Split& things, int64_t i) {
    return things.start(parts.start(i + 1)) - things.start(parts.start(i));
  };
  double sum = 3, weights = 3;
  for (const auto& [threads, weight] : {std::pair<size_t, double>{2, 3}, {4, 2}, {8, 1}}) {
    std::array<int64_t, 8> busy{};
    const auto end = busy.begin() + static_cast<ptrdiff_t>(threads);
    for (int64_t run = 0; run < t.grid_batches; ++run)
      for (int64_t column = 0; column < t.grid_columns; ++column)
        for (int64_t row = 0; row < t.grid_rows; ++row)
          *std::min_element(busy.begin(), end) += size(layout.tile_rows, layout.row_split, row) *
                                                  size(layout.tile_columns, layout.vector_split, column) *
                                                  layout.tile_batches.size(run);
    const double whole = as_double(t.rows * layout.vector_split.total * t.batches);
    sum += weight * as_double(*std::max_element(busy.begin(), end)) * static_cast<double>(threads) / whole;
    weights += weight;
  }
  return sum / weights;
}

}  // namespace

GemmShape dense_gemm(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b) {
  if (m < 1 || n < 1 || k < 1) fail("product of size {} x {} x {}: every size has to be at least 1", m, n, k);
  return {m, n, k, transpose_a, transpose_b, transpose_a ? m : k, transpose_b ? k : n};
}

GemmTiling tile_gemm(const GemmShape& shape, const Target& target, const GemmChoice& choice) {
  GemmTiling t;
  static_cast<GemmChoice&>(t) = choice;
  if (shape.unfolded) t.swapped = false;
  t.rows = t.swapped ? shape.n : shape.m;
  t.columns = t.swapped ? shape.m : shape.n;
  const int64_t vectors = (t.columns + target.lanes - 1) / target.lanes;
  const auto blocks = [](int64_t total, int64_t largest, int64_t& grid) {
    const int64_t least = (total + largest - 1) / largest;
    grid = std::clamp<int64_t>(grid, 1, total);
    return std::min(round_up(least, grid), total);
  };
  t.row_blocks = blocks(t.rows, t.row_block, t.grid_rows);
  t.panels = blocks(vectors, t.panel_vectors, t.grid_columns);
  t.k_blocks = (shape.k + t.k_block - 1) / t.k_block;
  t.packs_panels = shape.unfolded.has_value();
  if (t.packs_panels) {
    t.packs_in_tile = false, t.packed = true;
    const int64_t units = shape.k / UnfoldedColumns(*shape.unfolded, target.lanes).unit();
    t.k_blocks = std::min(t.k_blocks, units);
  }
  t.packed = t.packed || column_strides(shape, t).outer != 1;
  t.copied_rows = t.copied_rows && row_strides(shape, t).outer == 1;
  t.batches = batches_of(shape);
  t.packings = packings_of(shape, t);
  t.grid_batches = std::clamp<int64_t>(t.grid_batches, 1, t.batches);
  t.packs_in_tile = t.packs_in_tile && t.packed;
  t.compute_tiles = t.grid_rows * t.grid_columns * t.grid_batches;
  const int64_t vector_floats = target.lanes * shape.k;
  if (t.packed && !t.packs_in_tile && !t.packs_panels) {
    t.pack_tiles = pack_split(shape, t, target).parts;
    t.packed_bytes = round_up(t.packings * vectors * vector_floats * 4, 64);
  }
  const GemmLayout layout(shape, t, target);
  const int64_t panel = layout.vector_split.largest() * target.lanes * layout.packed_k;
  const int64_t floats = layout.packed_offset + (t.packs_in_tile  ? layout.tile_width * vector_floats
                                                 : t.packs_panels ? panel
                                                                  : 0);
  t.scratch_bytes = round_up(floats * 4, 64);
  return t;
}

std::vector<std::pair<int, int>> micro_kernel_sizes(const Target& target) {
  std::vector<std::pair<int, int>> sizes;
  // A step of k holds all vectors of columns; rows pass through one register, unfused products need another.
  const int passing = target.lanes >= 8 ? 1 : 2;
  for (int r = 1; r < target.registers; ++r)
    for (int v = 1; v <= 6; ++v)
      if (r * v + v + passing <= target.registers) sizes.emplace_back(r, v);
  return sizes;
}

namespace {

GemmTiling find_gemm_tiling(const GemmShape& shape, const Target& target) {
  // A tile of fewer cycles is not worth handing to another thread.
  const double least_tile = 20000, most_tiles = 24;
  struct Candidate {
    GemmChoice choice;
    double cycles;
  };
  std::vector<Candidate> candidates;
  double least = std::numeric_limits<double>::infinity();
  const int64_t batches = batches_of(shape);
  enum class Packing { none, before, in_tile };
  for (bool swapped : {false, true})
    for (Packing packing : {Packing::none, Packing::before, Packing::in_tile}) {
      if (packing == Packing::in_tile && batches == 1) continue;
      if (shape.unfolded && (swapped || packing != Packing::before)) continue;
      const bool packed = packing != Packing::none;
      for (const auto& [r, v] : micro_kernel_sizes(target)) {
        GemmChoice choice;
        choice.swapped = swapped;
        choice.packed = packed;
        choice.packs_in_tile = packing == Packing::in_tile;
        choice.row_block = r;
        choice.panel_vectors = v;
        choice.k_block = shape.k;
        if (shape.k > 2048) choice.k_block = 1024;
        // A packed panel takes a quarter of the cache.
        if (shape.unfolded)
          choice.k_block = std::min(shape.k, std::max<int64_t>(64, target.l2_bytes / 16 / (v * target.lanes)));
        const GemmStrides rows = row_strides(shape, choice);
        if (rows.outer == 1 && page_apart(rows.k)) {
          choice.k_block = std::min<int64_t>(shape.k, 512);
          // Micro-kernels of 14 rows use a line up at once, those of narrow vectors come back for it.
          choice.copied_rows = target.lanes < 16 && shape.k >= 256 && shape.m > 64 && shape.n > 64;
        }
        const GemmTiling t = tile_gemm(shape, target, choice);
        if (t.packed != packed || (t.packs_in_tile && t.scratch_bytes > target.l2_bytes / 2)) continue;
        const double cycles = cycles_of(shape, t, GemmLayout(shape, t, target), target);
        candidates.push_back({choice, cycles});
        least = std::min(least, cycles);
      }
    }

  GemmTiling best;
  double best_score = std::numeric_limits<double>::infinity();
  const auto tiles = static_cast<int64_t>(std::clamp(least / least_tile, 1.0, most_tiles));
  for (Candidate& c : candidates) {
    // Cutting into tiles never makes a micro-kernel better; the second look is for the ones near the top.
    if (c.cycles > 1.06 * least) continue;
    for (int64_t rows = 1; rows <= tiles; ++rows)
      for (int64_t columns = 1; rows * columns <= tiles; ++columns)
        // Products are cut only where there are fewer of them than tiles.
        for (int64_t runs = rows * columns == 1 ? 1 : batches; rows * columns * runs <= tiles && runs <= batches;
             ++runs) {
          c.choice.grid_rows = rows;
          c.choice.grid_columns = columns;
          c.choice.grid_batches = runs;
          const GemmTiling t = tile_gemm(shape, target, c.choice);
          if (t.grid_rows != rows || t.grid_columns != columns) continue;
          const GemmLayout layout(shape, t, target);
          const double score = cycles_of(shape, t, layout, target) * imbalance_of(t, layout);
          if (score >= best_score) continue;
          best_score = score;
          best = t;
        }
  }
  return best;
}

}  // namespace

GemmTiling choose_gemm_tiling(const GemmShape& shape, const Target& target) {
  using Question = std::tuple<GemmShape, int64_t, int64_t, int64_t, int64_t>;
  static std::mutex mutex;
  static std::map<Question, GemmTiling> answers;
  const Question question{shape, target.lanes, target.registers, target.l1_bytes, target.l2_bytes};
  {
    const std::lock_guard lock(mutex);
    if (const auto known = answers.find(question); known != answers.end()) return known->second;
  }
  const GemmTiling answer = find_gemm_tiling(shape, target);
  const std::lock_guard lock(mutex);
  if (answers.size() >= 4096) answers.clear();
  return answers[question] = answer;
}

}  // namespace gmc::codegen
