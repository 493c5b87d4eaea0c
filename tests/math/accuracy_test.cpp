// The error of every function against f64: a dense sample always, all 2^32 inputs with GMC_LONG_TESTS=1.
#include "tests/math/program.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <thread>

namespace gmc::test {
namespace {

// One body of code under judgement.
struct Subject {
  const char* kind;
  Loop loop;
  float limit;
};

std::vector<Subject> subjects(const std::string& name, float limit, float limit_apart) {
  std::vector<Subject> all{{"apart", plain().loop(name, 4), limit_apart}};
  if (codegen::host_target().lanes != 4) all.push_back({"fused", native().loop(name, 16), limit});
  return all;
}

struct Worst {
  double error = 0, far_error = 0;  // ULP; in units of |x| 2^-23 where the bound is absolute
  uint32_t at = 0, far_at = 0;
  uint64_t outside = 0;  // results that leave the range of the function
};

using Worsts = std::vector<Worst>;  // of each subject

void merge(Worsts& into, const Worsts& from) {
  into.resize(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    Worst& w = into[i];
    if (from[i].error > w.error) w.error = from[i].error, w.at = from[i].at;
    if (from[i].far_error > w.far_error) w.far_error = from[i].far_error, w.far_at = from[i].far_at;
    w.outside += from[i].outside;
  }
}

bool bounded_by_one(const std::string& name) {
  return name == "tanh" || name == "erf" || name == "sigmoid" || name == "sin" || name == "cos";
}

constexpr uint64_t batch = 4096;

void look(const Function& f, bool unit_range, float limit, float x, float y, double exact, Worst& worst) {
  if (unit_range && fabsf(y) > 1) ++worst.outside;
  if (fabsf(x) > limit && !isinf(x)) return;
  if (f.gelu && x < -1 && !isinf(x)) {
    const double error = fabs(y - exact) / (fabs(static_cast<double>(x)) * 0x1p-23);
    if (!(error <= worst.far_error)) worst.far_error = isnan(error) ? INFINITY : error, worst.far_at = bits_of(x);
    return;
  }
  const double error = ulps(y, exact);
  if (error > worst.error) worst.error = error, worst.at = bits_of(x);
}

// The inputs with bit patterns first, first + stride, ...
Worsts judge(const Function& f, const std::vector<Subject>& all, uint32_t first, uint32_t stride, uint64_t count) {
  alignas(64) float in[batch], out[batch];
  double exact[batch];
  Worsts worst(all.size());
  const bool unit_range = bounded_by_one(f.name);
  uint32_t bits = first;
  for (uint64_t done = 0; done < count; done += batch) {
    for (float& x : in) x = float_of(bits), bits += stride;
    for (uint64_t i = 0; i < batch; ++i) exact[i] = f.reference(in[i]);
    for (size_t s = 0; s < all.size(); ++s) {
      all[s].loop(in, out, batch);
      for (uint64_t i = 0; i < batch; ++i) look(f, unit_range, all[s].limit, in[i], out[i], exact[i], worst[s]);
    }
  }
  return worst;
}

Worsts judge_normal(const std::vector<Subject>& all, uint32_t first, uint32_t stride, uint64_t count) {
  uint32_t in[batch];
  float out[batch];
  double exact[batch];
  Worsts worst(all.size());
  uint32_t word = first;
  for (uint64_t done = 0; done < count; done += batch) {
    for (uint32_t& w : in) w = word, word += stride;
    for (uint64_t i = 0; i < batch; ++i) exact[i] = execute::normal_of(in[i]);
    for (size_t s = 0; s < all.size(); ++s) {
      all[s].loop(in, out, batch);
      for (uint64_t i = 0; i < batch; ++i) {
        const double error = ulps(out[i], exact[i]);
        if (error > worst[s].error) worst[s].error = error, worst[s].at = in[i];
      }
    }
  }
  return worst;
}

void expect_within(const char* name, double bound, const std::vector<Subject>& all, const Worsts& worsts) {
  for (size_t s = 0; s < all.size(); ++s) {
    const Worst& w = worsts[s];
    EXPECT_LE(w.error, bound) << all[s].kind << ' ' << name << " at " << fmt::format("{:#x}", w.at);
    EXPECT_LE(w.far_error, 1) << all[s].kind << ' ' << name << " at " << float_of(w.far_at);
    EXPECT_EQ(w.outside, 0u) << all[s].kind << ' ' << name << " leaves [-1, 1]";
    fmt::print("[ {} ] {:<10} worst {:.3f} ULP at {:.9g} ({:#010x})", all[s].kind, name, w.error, float_of(w.at), w.at);
    if (w.far_error > 0) fmt::print(", below -1 {:.3f} |x| 2^-23 at {:.9g}", w.far_error, float_of(w.far_at));
    fmt::print("\n");
  }
  fflush(stdout);
}

TEST(Accuracy, OfASample) {
  for (const Function& f : functions()) {
    const auto all = subjects(f.name, f.limit, f.limit_apart);
    Worsts worst = judge(f, all, 0x12345, 1021, uint64_t{1} << 22);
    for (float x :
         {0.f,        0x1p-126f,  1.f,      0.5f,     0.625f,   0.9375f,     1.25f,       0.34657f,
          1.0397f,    9.0109f,    17.3287f, 88.7228f, 87.3365f, 103.972f,    5.54f,       14.0f,
          1.5707964f, 3.1415927f, 10000.f,  0x1p24f,  0x1p48f,  0.41421357f, 0.29289323f, float_of(0x7f7fffff)})
      for (uint32_t sign : {0u, 0x80000000u}) merge(worst, judge(f, all, (bits_of(x) | sign) - 2048, 1, 4096));
    expect_within(f.name, f.bound, all, worst);
  }
}

TEST(Accuracy, OfNormalsInASample) {
  const auto all = subjects("normal", 0, 0);
  Worsts worst = judge_normal(all, 77, 4093, 1 << 20);
  for (uint32_t middle : {0u, 0x80000000u, 0x40000000u, 0x7f800000u})
    merge(worst, judge_normal(all, middle - 2048, 1, 4096));
  expect_within("normal", 4, all, worst);
}

// All 2^32 patterns in pieces, by two threads.
template <class Piece>
Worsts everywhere(Piece piece) {
  constexpr uint32_t pieces = 256;
  std::atomic<uint32_t> next{0};
  Worsts part[2];
  auto work = [&](Worsts& worst) {
    for (uint32_t p = next++; p < pieces; p = next++) merge(worst, piece(p << 24, uint64_t{1} << 24));
  };
  std::thread other(work, std::ref(part[1]));
  work(part[0]);
  other.join();
  Worsts all = part[0];
  if (!part[1].empty()) merge(all, part[1]);
  return all;
}

class Long : public ::testing::TestWithParam<size_t> {};

TEST_P(Long, OfAllInputs) {
  if (!long_tests()) GTEST_SKIP() << "set GMC_LONG_TESTS=1";
  const Function& f = functions()[GetParam()];
  const auto all = subjects(f.name, f.limit, f.limit_apart);
  expect_within(f.name, f.bound, all,
                everywhere([&](uint32_t first, uint64_t count) { return judge(f, all, first, 1, count); }));
}

INSTANTIATE_TEST_SUITE_P(Accuracy, Long, ::testing::Range(size_t{0}, functions().size()),
                         [](const auto& chosen) { return std::string(functions()[chosen.param].name); });

// normal_of costs as much as a hundred other references: every 16th word, up to the last of each sign.
TEST(Accuracy, LongOfNormals) {
  if (!long_tests()) GTEST_SKIP() << "set GMC_LONG_TESTS=1";
  const auto all = subjects("normal", 0, 0);
  expect_within("normal", 4, all, everywhere([&](uint32_t first, uint64_t count) {
                  return judge_normal(all, first + 15, 16, count / 16);
                }));
}

}  // namespace
}  // namespace gmc::test
