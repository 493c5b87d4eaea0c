// What is refused, and in which words. Whole texts with places are in tests/errors.
#include "models/gmc.h"
#include "runtime/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace gmc {
namespace {

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

// What is said about the body of an entry of a program that holds `fc`, a Linear(3, 4).
std::string in_entry(const std::function<void(const Linear& fc)>& body) {
  return error_of([&] {
    Program p;
    const Linear fc(3, 4);
    p.state(fc, "fc");
    p.entry("step", [&] { body(fc); });
  });
}

using testing::HasSubstr;

TEST(Refusals, extents) {
  EXPECT_THAT(in_entry([](auto&) { input("x", f32, {2, -3}); }),
              HasSubstr("input 'x': dimension 1 of [2, -3] is negative"));
  EXPECT_THAT(in_entry([](auto&) { input("x", f32, {int64_t{1} << 40, int64_t{1} << 40}); }),
              HasSubstr("input 'x': the size of [1099511627776, 1099511627776] overflows"));
  EXPECT_THAT(in_entry([](auto&) { normal("z", {-1}); }), HasSubstr("normal 'z': dimension 0 of [-1] is negative"));
  EXPECT_THAT(error_of([] {
                Program p;
                p.state(Linear(-3, 4), "fc");
              }),
              HasSubstr("state 'fc.weight': dimension 1 of [4, -3] is negative"));
}

TEST(Refusals, names_given_twice) {
  EXPECT_THAT(in_entry([](auto&) {
                input("x", f32, {2});
                input("x", f32, {2});
              }),
              AllOf(HasSubstr("input 'x' is given twice"), HasSubstr("first given at")));
  EXPECT_THAT(in_entry([](auto&) { input("fc.weight", f32, {2}); }), HasSubstr("'fc.weight' of an input and a state"));
  EXPECT_THAT(error_of([] {
                Program p;
                for (int i = 0; i < 2; ++i) p.entry("eval", [] { output("x", input("x", f32, {2})); });
              }),
              HasSubstr("entry 'eval' is given twice"));
  EXPECT_THAT(error_of([] {
                Program p;
                p.state(Linear(2, 2), "a");
                p.state(Linear(2, 2), "a");
              }),
              HasSubstr("state 'a.weight' is given twice"));
}

TEST(Refusals, entries) {
  EXPECT_THAT(in_entry([](auto&) {}), HasSubstr("entry 'step' has no output and updates no state"));
  EXPECT_THAT(in_entry([](auto&) {
                Program other;
                other.entry("inner", [] {});
              }),
              HasSubstr("entry 'inner' begins inside entry 'step'"));
  EXPECT_THAT(error_of([] {
                Program p;
                p.entry("a b", [] {});
              }),
              HasSubstr("entry name 'a b': expected letters, digits and '_'"));
  EXPECT_THAT(error_of([] { normal("eps", {2}); }), HasSubstr("normal 'eps' outside an entry"));
}

TEST(Refusals, a_failed_entry_leaves_the_program_usable) {
  Program p;
  EXPECT_THAT(error_of([&] { p.entry("step", [] { input("x", f32, {-1}); }); }), HasSubstr("is negative"));
  p.entry("step", [] { output("x", input("x", f32, {1})); });
  EXPECT_EQ(p.entries().size(), 1u);
}

TEST(Refusals, tensors_of_elsewhere) {
  Tensor stranger;
  Program other;
  other.entry("first", [&] {
    stranger = input("x", f32, {2});
    output("x", stranger);
  });
  EXPECT_THAT(in_entry([&](auto&) { output("y", stranger); }),
              HasSubstr("a tensor of entry 'first' of another program is used in entry 'step'"));
  EXPECT_THAT(in_entry([](auto&) { exp(Tensor()); }), HasSubstr("exp: an operand is a tensor without a value"));
  const Linear fc(3, 4);
  other.state(fc, "fc");
  EXPECT_THAT(in_entry([&](auto&) { fc(input("x", f32, {2, 3})); }),
              HasSubstr("parameter 'fc.weight' belongs to another program"));
}

TEST(Refusals, learning) {
  EXPECT_THAT(in_entry([](auto& fc) { minimize(sum(fc(input("x", f32, {2, 3}))), {}, Sgd{}); }),
              HasSubstr("minimize: there are no parameters to update"));
  EXPECT_THAT(in_entry([](auto& fc) {
                const Tensor loss = sum(fc(input("x", f32, {2, 3})));
                minimize(loss, parameters(fc), Adam{});
                minimize(loss, parameters(fc), Adam{});
              }),
              HasSubstr("optimizer 'adam' is used twice in entry 'step'"));
  EXPECT_THAT(in_entry([](auto& fc) { update(fc.bias, input("x", f32, {3})); }),
              HasSubstr("update: state 'fc.bias' is f32[4], the new value is f32[3]"));
}

TEST(Refusals, axes_and_shapes) {
  EXPECT_THAT(in_entry([](auto&) { sum(input("x", f32, {2, 3}), {2}); }), HasSubstr("sum: axis 2 is out of range"));
  EXPECT_THAT(in_entry([](auto&) { max(input("x", f32, {2, 3}), {1, -1}); }), HasSubstr("name a dimension twice"));
  EXPECT_THAT(in_entry([](auto&) { reshape(input("x", f32, {2, 3}), {4, -1}); }),
              HasSubstr("reshape: cannot reshape [2, 3] to [4, -1]"));
  EXPECT_THAT(in_entry([](auto&) { input("x", f32, {2, 3}).dim(2); }), HasSubstr("there is no dimension 2 in [2, 3]"));
  EXPECT_THAT(in_entry([](auto&) { broadcast_to(input("x", f32, {2, 3}), {3}); }),
              HasSubstr("cannot broadcast [2, 3] to [3]"));
}

}  // namespace
}  // namespace gmc
