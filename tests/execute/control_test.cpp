// Loops and conds of packages made by hand.
#include "runtime/execute/executor.h"
#include "runtime/execute/lookup.h"
#include "tests/execute/package_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc::test {
namespace {

using testing::HasSubstr;

float* f(void* p) { return static_cast<float*>(p); }

// y := 2 x + the flattened index
void twice(void* const* buffers, uint64_t, uint64_t, void*, const RunParameters* run) {
  f(buffers[1])[0] = 2 * f(buffers[0])[0] + static_cast<float>(run->loop);
}
// sum += x; more := sum < 10
void add(void* const* buffers, uint64_t, uint64_t, void*, const RunParameters*) {
  f(buffers[1])[0] += f(buffers[0])[0];
  *static_cast<unsigned char*>(buffers[2]) = f(buffers[1])[0] < 10;
}
// y := the index
void index_of(void* const* buffers, uint64_t, uint64_t, void*, const RunParameters*) {
  f(buffers[1])[0] = static_cast<float>(*static_cast<int32_t*>(buffers[0]));
}
constexpr Kernel functions[] = {twice, add, index_of};

std::vector<float> run(PackageBuilder& b, uint64_t count, bool guard) {
  Options options;
  options.guard = guard;
  options.threads = 2;
  Opened model(b.finish(), functions, options);
  EXPECT_TRUE(model.context) << model.message.text;
  if (!model.context) return {};
  const std::vector<float> x{1, 2, 3, 4, 5, 6};
  std::vector<float> y(count);
  const void* inputs[] = {x.data()};
  void* outputs[] = {y.data()};
  EXPECT_EQ(model->run(0, 0, 0, inputs, outputs, &model.message), Status::ok) << model.message.text;
  return y;
}

// Two by three trips over x and y; the outer ones in reverse.
PackageBuilder nested() {
  PackageBuilder b("nested");
  const uint32_t x = b.input(0, 24), y = b.output(0, 24);
  b.control(StepKind::loop, "outer", {2, 2, 0, 2, none, none, 1, 0}, {x, y});
  const uint32_t xs = b.slice(x, 12, 12, 0), ys = b.slice(y, 12, 12, 0);
  b.control(StepKind::loop, "inner", {3, 3, 0, 1, none, none, 0, 0}, {xs, ys});
  b.launch("k", 0, 1, {b.slice(xs, 4, 4, 1), b.slice(ys, 4, 4, 1)}, true);
  b.entry("main", {{"x", {6}}}, {{"y", {6}}});
  return b;
}

TEST(Control, ViewsMoveWithTheirLoops) {
  for (const bool guard : {false, true}) {
    PackageBuilder b = nested();
    EXPECT_EQ(run(b, 6, guard), (std::vector<float>{2, 5, 8, 11, 14, 17})) << guard;
  }
}

TEST(Control, ALoopAsksBeforeEachTrip) {
  for (const bool guard : {false, true}) {
    PackageBuilder b("asks");
    const uint32_t x = b.input(0, 24), sum = b.arena(4), more = b.arena(1), index = b.arena(4), y = b.output(0, 8);
    b.copy("zero", b.constant({0}), sum);
    // The body counts; the condition adds what x begins with.
    b.control(StepKind::loop, "loop", {endless, 1, 1, 1, 0, 1, 0, 0}, {more, index});
    b.launch("ask", 1, 1, {b.view(x, 8, 4), sum, more}, true);
    b.launch("count", 2, 1, {index, b.view(y, 4, 4)}, true);
    b.copy("sum", sum, b.view(y, 0, 4));
    b.entry("main", {{"x", {6}}}, {{"y", {2}}});
    EXPECT_EQ(run(b, 2, guard), (std::vector<float>{12, 2})) << guard;
  }
}

TEST(Control, ACondRunsOneSide) {
  for (const float taken : {0.0f, 1.0f}) {
    PackageBuilder b("sides");
    const uint32_t x = b.input(0, 24), y = b.output(0, 4), flag = b.arena(4);
    b.copy("flag", b.constant({taken}), flag);
    b.control(StepKind::cond, "cond", {0, 0, 1, 1, 0, none, 0, 0}, {b.view(flag, 3, 1)});
    b.copy("yes", b.view(x, 4, 4), y);
    b.copy("no", b.view(x, 20, 4), y);
    b.entry("main", {{"x", {6}}}, {{"y", {1}}});
    EXPECT_EQ(run(b, 1, false), std::vector<float>{taken != 0 ? 2.0f : 6.0f});
  }
}

TEST(Control, TimesOfALoopAreThoseOfItsTrips) {
  PackageBuilder b = nested();
  Opened model(b.finish(), functions);
  const std::vector<float> x(6);
  std::vector<float> y(6);
  const void* inputs[] = {x.data()};
  void* outputs[] = {y.data()};
  uint64_t times[3] = {};
  ASSERT_EQ(model->run(0, 0, 0, inputs, outputs, nullptr, times), Status::ok);
  EXPECT_GE(times[0], times[1]);
  EXPECT_GE(times[1], times[2]);
}

std::string refusal(PackageBuilder& b) {
  Message message;
  EXPECT_EQ(validate(b.finish(), 0, &message), Status::invalid);
  return message.text;
}

// A loop over x with a slice of `bytes` that moves by `stride`.
std::string refused_loop(const ControlCall& call, uint64_t bytes, int64_t stride, bool named = true) {
  PackageBuilder b("bad");
  const uint32_t x = b.input(0, 24), a = b.arena(24);
  if (named)
    b.control(StepKind::loop, "loop", call, {x});
  else
    b.control(StepKind::loop, "loop", call, {a});
  b.copy("c", b.slice(x, bytes, stride, 0), b.view(a, 0, bytes));
  b.entry("main", {{"x", {6}}}, {});
  return refusal(b);
}

TEST(Control, RefusesLoopsThatLeaveTheirMemory) {
  const ControlCall six{6, 6, 0, 1, none, none, 0, 0};
  EXPECT_THAT(refused_loop(six, 4, 8), HasSubstr("leaves buffer 0 in the 6 trips of its loop"));
  EXPECT_THAT(refused_loop(six, 8, 4), HasSubstr("leaves buffer 0"));
  EXPECT_THAT(refused_loop(six, 4, -4), HasSubstr("leaves buffer 0"));
  EXPECT_THAT(refused_loop(six, 4, int64_t{1} << 62), HasSubstr("leaves buffer 0"));
  EXPECT_THAT(refused_loop(six, 4, 4, false), HasSubstr("uses a view that moves with another loop"));
  EXPECT_THAT(refused_loop({6, 6, 0, 0, none, none, 0, 0}, 4, 4), HasSubstr("moves with another loop"));
  EXPECT_THAT(refused_loop({6, 6, 0, 2, none, none, 0, 0}, 4, 4), HasSubstr("the parts of step 'loop' do not end"));
  EXPECT_THAT(refused_loop({6, 6, 0, 1, none, 1, 0, 0}, 4, 4), HasSubstr("has no operand 1 for its index"));
  EXPECT_THAT(refused_loop({6, 6, 1, 0, none, none, 0, 0}, 4, 4), HasSubstr("for its predicate"));
  EXPECT_THAT(refused_loop({endless, 6, 0, 1, none, none, 0, 0}, 4, 0), HasSubstr("loop 'loop' has no end"));
}

}  // namespace
}  // namespace gmc::test
