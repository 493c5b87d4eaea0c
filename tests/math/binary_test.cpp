// pow, atan2, fmod and mod of both widths: errors over samples, the special values of C99, exact results.
#include "tests/math/program.h"
#include "tests/math/ulps.h"

#include <gtest/gtest.h>

namespace gmc::test {
namespace {

using Method = llvm::Value* (VectorMath::*)(llvm::Value*, llvm::Value*);

Programs& programs() {
  static Programs all([] {
    std::vector<Body> bodies;
    const std::pair<const char*, Method> methods[] = {{"pow", &VectorMath::pow},
                                                      {"atan2", &VectorMath::atan2},
                                                      {"fmod", &VectorMath::fmod},
                                                      {"mod", &VectorMath::mod}};
    for (const auto& [name, method] : methods)
      for (Element e : {Element::f32, Element::f64})
        bodies.push_back({name + std::string(e == Element::f32 ? "_f32" : "_f64"), e, e,
                          [m = method](VectorMath& math, llvm::IRBuilder<>&, llvm::Value* x, llvm::Value* y) {
                            return (math.*m)(x, y);
                          }});
    return bodies;
  }());
  return all;
}

template <class Float>
struct Wider;
template <>
struct Wider<float> {
  using type = double;
};
template <>
struct Wider<double> {
  using type = long double;
};

template <class Float>
std::string suffix() {
  return sizeof(Float) == 4 ? "_f32" : "_f64";
}

// x - y floor(x / y), exact but for the last sum.
template <class Wide>
Wide mod_of(Wide x, Wide y) {
  const Wide rest = std::fmod(x, y);
  if (rest == 0) return std::copysign(rest, y);
  return std::signbit(rest) == std::signbit(y) || std::isnan(rest) ? rest : rest + y;
}

template <class Float>
using Reference = typename Wider<Float>::type (*)(typename Wider<Float>::type, typename Wider<Float>::type);

template <class Float>
struct Case {
  const char* name;
  Reference<Float> reference;
  double bound;
};

template <class Float>
std::vector<Case<Float>> cases() {
  using Wide = typename Wider<Float>::type;
  const double bound = sizeof(Float) == 4 ? 1 : 4;
  return {{"pow", [](Wide x, Wide y) { return std::pow(x, y); }, bound},
          {"atan2", [](Wide y, Wide x) { return std::atan2(y, x); }, bound},
          {"fmod", [](Wide x, Wide y) { return std::fmod(x, y); }, 0},
          {"mod", mod_of<Wide>, 0.5}};
}

// Pairs of every kind: any bits, sizes near each other, powers that neither overflow nor vanish, bases next to 1.
template <class Float>
void sample(std::vector<Float>& x, std::vector<Float>& y, Numbers& numbers) {
  constexpr double top = sizeof(Float) == 4 ? 80 : 700;
  auto any = [&] {
    if constexpr (sizeof(Float) == 4)
      return float_of(static_cast<uint32_t>(numbers.next()));
    else
      return double_of(numbers.next());
  };
  for (size_t i = 0; i < x.size(); ++i) {
    const uint64_t kind = numbers.next() % 6;
    if (kind == 0) {
      x[i] = any(), y[i] = any();
    } else if (kind == 1) {
      x[i] = any(), y[i] = x[i] * static_cast<Float>(numbers.uniform(-3, 3));
    } else if (kind == 2) {
      x[i] = static_cast<Float>(exp(numbers.uniform(-top, top)));
      y[i] = static_cast<Float>(numbers.uniform(-top, top) / log(static_cast<double>(x[i])));
    } else if (kind == 3) {
      x[i] = static_cast<Float>(1 + numbers.uniform(-1, 1) * exp2(-numbers.uniform(0, 30)));
      y[i] = static_cast<Float>(numbers.uniform(-top, top) / log(static_cast<double>(x[i])));
    } else if (kind == 4) {
      x[i] = static_cast<Float>(numbers.uniform(-20, 20)), y[i] = static_cast<Float>(rint(numbers.uniform(-30, 30)));
    } else {
      x[i] = static_cast<Float>(numbers.uniform(-9, 9)), y[i] = static_cast<Float>(numbers.uniform(-9, 9));
    }
  }
}

template <class Float>
void expect_accurate(uint64_t rounds) {
  using Wide = typename Wider<Float>::type;
  constexpr size_t batch = 4096;
  std::vector<Float> x(batch), y(batch), out(batch);
  programs().each([&](const char* kind, auto find, bool) {
    for (const Case<Float>& c : cases<Float>()) {
      const Map map = find(c.name + suffix<Float>());
      Numbers numbers{7};
      double worst = 0;
      Float at[2] = {};
      for (uint64_t round = 0; round < rounds; ++round) {
        sample(x, y, numbers);
        map(x.data(), y.data(), out.data(), batch);
        for (size_t i = 0; i < batch; ++i) {
          const Wide exact = c.reference(x[i], y[i]);
          const double error = ulps(out[i], exact);
          if (error > worst) worst = error, at[0] = x[i], at[1] = y[i];
        }
      }
      EXPECT_LE(worst, c.bound) << fmt::format("{} {}{}({:a}, {:a})", kind, c.name, suffix<Float>(), at[0], at[1]);
      fmt::print("[ {} ] {}{} worst {:.3f} ULP at {:a}, {:a}\n", kind, c.name, suffix<Float>(), worst, at[0], at[1]);
    }
  });
}

TEST(Binary, AccuracyOfF32) { expect_accurate<float>(long_tests() ? 1 << 14 : 64); }

TEST(Binary, AccuracyOfF64) { expect_accurate<double>(long_tests() ? 1 << 12 : 64); }

// The C library's own special values are those of C99; signs of zeros included.
template <class Float>
void expect_special() {
  using Wide = typename Wider<Float>::type;
  constexpr auto inf = std::numeric_limits<Float>::infinity();
  constexpr auto least = std::numeric_limits<Float>::denorm_min(), most = std::numeric_limits<Float>::max();
  const std::vector<Float> values{0,
                                  -Float{0},
                                  least,
                                  -least,
                                  Float{0.5},
                                  Float{-0.5},
                                  1,
                                  -1,
                                  2,
                                  -2,
                                  3,
                                  -3,
                                  Float{2.5},
                                  Float{-2.5},
                                  1e9,
                                  1e9 + 64,
                                  most,
                                  -most,
                                  inf,
                                  -inf,
                                  std::numeric_limits<Float>::min(),
                                  std::numeric_limits<Float>::quiet_NaN()};
  std::vector<Float> x, y;
  for (Float a : values)
    for (Float b : values) x.push_back(a), y.push_back(b);
  while (x.size() % 16 != 0) x.push_back(1), y.push_back(1);
  std::vector<Float> out(x.size());
  programs().each([&](const char* kind, auto find, bool) {
    for (const Case<Float>& c : cases<Float>()) {
      find(c.name + suffix<Float>())(x.data(), y.data(), out.data(), static_cast<int64_t>(x.size()));
      for (size_t i = 0; i < x.size(); ++i) {
        const Wide exact = c.reference(x[i], y[i]);
        const auto what = fmt::format("{} {}({:a}, {:a}) is {:a}, expected {:a}", kind, c.name, x[i], y[i], out[i],
                                      static_cast<double>(exact));
        EXPECT_LE(ulps(out[i], exact), c.bound) << what;
        EXPECT_TRUE(isnan(exact) || std::signbit(out[i]) == std::signbit(exact)) << what;
      }
    }
  });
}

TEST(Binary, SpecialValuesOfF32) { expect_special<float>(); }

TEST(Binary, SpecialValuesOfF64) { expect_special<double>(); }

// Whole powers that a float holds exactly come out exactly.
TEST(Binary, WholePowersOfF32AreExact) {
  std::vector<float> x, y;
  for (int base = -300; base <= 300; ++base)
    for (int power = 0; power <= 24; ++power)
      x.push_back(static_cast<float>(base)), y.push_back(static_cast<float>(power));
  for (int power = -149; power <= 127; ++power) x.push_back(2), y.push_back(static_cast<float>(power));
  x.resize(x.size() / 16 * 16), y.resize(x.size());
  std::vector<float> out(x.size());
  programs().each([&](const char* kind, auto find, bool) {
    find("pow_f32")(x.data(), y.data(), out.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = std::pow(static_cast<double>(x[i]), static_cast<double>(y[i]));
      if (static_cast<double>(static_cast<float>(exact)) != exact) continue;
      EXPECT_EQ(out[i], exact) << kind << ' ' << x[i] << " to the " << y[i];
    }
  });
}

}  // namespace
}  // namespace gmc::test
