// Schedules: which axes become one, and how regions are cut.
#include "compiler/lower/tile.h"

#include <gtest/gtest.h>

namespace gmc {
namespace {

using kernel::Instruction;
using kernel::Region;
using Kind = Instruction::Kind;

Instruction load(Shape strides) { return {.kind = Kind::load, .parameter = 0, .access = {0, std::move(strides)}}; }
Instruction store(int operand, Shape strides) {
  return {.kind = Kind::store, .operands = {operand}, .parameter = 1, .access = {0, std::move(strides)}};
}
Instruction row(int operand) { return {.kind = Kind::row, .function = "sum", .operands = {operand}}; }
Instruction fold(int operand, Shape strides) {
  return {
      .kind = Kind::fold, .function = "sum", .operands = {operand}, .parameter = 1, .access = {0, std::move(strides)}};
}
Region region(Shape extents, std::vector<Instruction> body) {
  Region r;
  r.extents = std::move(extents);
  r.body = std::move(body);
  return r;
}

TEST(CollapseAxes, MakesADenseWalkOneRow) {
  Region r = region({3, 4, 5}, {load({20, 5, 1}), store(0, {20, 5, 1})});
  lower::collapse_axes(r);
  EXPECT_EQ(r.extents, (Shape{1, 60}));
  EXPECT_EQ(r.body[0].access.strides, (Shape{0, 1}));
}

TEST(CollapseAxes, KeepsWhatDoesNotContinue) {
  Region r = region({3, 4, 5}, {load({5, 0, 1}), store(0, {20, 5, 1})});
  lower::collapse_axes(r);
  EXPECT_EQ(r.extents, (Shape{3, 4, 5}));
  Region bias = region({3, 4, 5}, {load({0, 0, 1}), store(0, {20, 5, 1})});
  lower::collapse_axes(bias);
  EXPECT_EQ(bias.extents, (Shape{12, 5}));
  EXPECT_EQ(bias.body[0].access.strides, (Shape{0, 1}));
}

TEST(CollapseAxes, KeepsTheColumnsOfAReduction) {
  Region rows = region({3, 4, 5}, {load({20, 5, 1}), row(0), store(1, {4, 1, 0})});
  lower::collapse_axes(rows);
  EXPECT_EQ(rows.extents, (Shape{12, 5}));
  EXPECT_EQ(rows.body[2].access.strides, (Shape{1, 0}));
  Region columns = region({3, 4, 5}, {load({20, 5, 1}), fold(0, {0, 0, 1})});
  lower::collapse_axes(columns);
  EXPECT_EQ(columns.extents, (Shape{12, 5}));
  EXPECT_EQ(columns.body[1].access.strides, (Shape{0, 1}));
  Region one = region({3, 1}, {load({1, 0}), row(0), store(1, {1, 0})});
  lower::collapse_axes(one);
  EXPECT_EQ(one.extents, (Shape{3, 1}));
}

// Two phases of a gradient put together: vectors run along the places, not along the two phases.
TEST(ChooseColumns, TakesALongAxisInPlaceOfAShortOne) {
  Region r = region({6, 16, 2}, {load({16, 1, 96}), store(0, {32, 2, 1})});
  EXPECT_TRUE(lower::choose_columns(r));
  EXPECT_EQ(r.extents, (Shape{6, 2, 16}));
  EXPECT_EQ(r.body[0].access.strides, (Shape{16, 96, 1}));
  EXPECT_EQ(r.body[1].access.strides, (Shape{32, 1, 2}));
  Region far = region({9, 64, 2}, {load({16, 1024, 3}), store(0, {128, 2, 1})});
  EXPECT_TRUE(lower::choose_columns(far));
  EXPECT_EQ(far.extents, (Shape{64, 2, 9}));
}

TEST(ChooseColumns, KeepsLongOnesAndThoseOfReductions) {
  Region full = region({6, 16, 8}, {load({16, 1, 96}), store(0, {128, 8, 1})});
  EXPECT_FALSE(lower::choose_columns(full));
  Region folded = region({6, 16, 2}, {load({16, 1, 96}), fold(0, {0, 0, 1})});
  EXPECT_FALSE(lower::choose_columns(folded));
  Region small = region({6, 4, 3}, {load({12, 100, 1}), store(0, {12, 3, 1})});
  EXPECT_FALSE(lower::choose_columns(small));
}

// What differs between the two is there twice, the rest once.
TEST(PairUp, StoresTwoPhasesAtOnce) {
  const Instruction both{.kind = Kind::compute, .function = "add", .operands = {0, 1}};
  Region r = region({6, 16, 2}, {load({16, 1, 96}), load({0, 1, 0}), both, store(2, {32, 2, 1})});
  ASSERT_TRUE(lower::choose_columns(r));
  lower::pair_up(r);
  EXPECT_EQ(r.extents, (Shape{6, 16}));
  ASSERT_EQ(r.body.size(), 6u);
  EXPECT_EQ(r.body[0].access, (kernel::Access{0, {16, 1}}));
  EXPECT_EQ(r.body[1].access, (kernel::Access{96, {16, 1}}));
  EXPECT_EQ(r.body[2].access, (kernel::Access{0, {0, 1}}));
  EXPECT_EQ(r.body[3].operands, (std::vector{0, 2}));
  EXPECT_EQ(r.body[4].operands, (std::vector{1, 2}));
  EXPECT_EQ(r.body[5].operands, (std::vector{3, 4}));
  EXPECT_EQ(r.body[5].access, (kernel::Access{0, {32, 2}}));
}

TEST(PairUp, LeavesResultsThatLieApart) {
  Region r = region({6, 2, 16}, {load({16, 96, 1}), store(0, {32, 1, 2}), store(0, {16, 96, 1})}), before = r;
  lower::pair_up(r);
  EXPECT_EQ(r.extents, before.extents);
  EXPECT_EQ(r.body.size(), before.body.size());
}

TEST(CollapseAxes, DropsExtentsOfOne) {
  Region r = region({3, 1, 5, 1}, {load({1, 0, 3, 0}), store(0, {5, 0, 1, 0})});
  lower::collapse_axes(r);
  EXPECT_EQ(r.extents, (Shape{3, 5}));
  EXPECT_EQ(r.body[0].access.strides, (Shape{1, 3}));
}

TEST(ChooseTiles, CutsALongRowInColumns) {
  Region r = region({1, 1 << 20}, {load({0, 1}), store(0, {0, 1})});
  lower::choose_tiles(r);
  EXPECT_EQ(r.tile_rows, 1);
  EXPECT_EQ(r.tile_columns % 64, 0);
  EXPECT_GT(kernel::tiles_of(r), 4);
}

TEST(ChooseTiles, NeverCutsTheRowOfAReduction) {
  Region r = region({64, 100000}, {load({100000, 1}), row(0), store(1, {1, 0})});
  lower::choose_tiles(r);
  EXPECT_EQ(r.tile_columns, 100000);
  EXPECT_EQ(r.tile_rows, 1);
}

TEST(ChooseTiles, SumsNarrowColumnsInStrips) {
  Region r = region({128, 512}, {load({512, 1}), fold(0, {0, 1})});
  lower::choose_tiles(r);
  EXPECT_EQ(r.tile_rows, 128);
  EXPECT_GT(kernel::tiles_of(r), 0);
}

TEST(ChooseTiles, LeavesFewPartialResults) {
  Region r = region({100000, 100}, {load({100, 1}), fold(0, {0, 1})});
  lower::choose_tiles(r);
  EXPECT_EQ(r.tile_columns, 100);
  EXPECT_LE(kernel::tiles_of(r), 32);
  EXPECT_GT(kernel::tiles_of(r), 1);
}

TEST(ChooseTiles, GivesAnEmptySpaceOneTile) {
  for (const Shape& extents : {Shape{0, 3}, Shape{3, 0}, Shape{0, 0}}) {
    Region r = region(extents, {load({3, 1}), fold(0, {0, 1})});
    lower::choose_tiles(r);
    EXPECT_EQ(kernel::tiles_of(r), 1) << to_string(extents);
  }
}

}  // namespace
}  // namespace gmc
