// The f64 functions against long double: samples, special values, equal bits at every width, symbols.
#include "tests/math/program.h"
#include "tests/math/ulps.h"

#include <gtest/gtest.h>

namespace gmc::test {
namespace {

struct Wide {
  const char* name;
  llvm::Value* (VectorMath::*emit)(llvm::Value*);
  long double (*reference)(long double);
  double bound;
  double low, high;                                 // a part of the sample is in between
  double limit = INFINITY, limit_apart = INFINITY;  // the bound holds for |x| up to these
};

using Big = __float128;

long double sigmoid_of(long double x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }

// x Phi(x). The rounding of x / sqrt(2) is made good to first order, since it matters where Phi is small.
long double gelu_of(long double x) {
  if (isinf(x)) return x < 0 ? -0.0L : x;
  const Big exact =
      -static_cast<Big>(x) * (static_cast<Big>(0.707106781186547524382L) + static_cast<Big>(0x1.65f626cdd52bp-66));
  const auto t = static_cast<long double>(exact);
  const auto lost = static_cast<long double>(exact - t);
  return x * (erfcl(t) / 2 - 0.564189583547756286948L * expl(-t * t) * lost);
}

// x / (1 + e^-w) with w = 2 sqrt(2/pi) (x + 0.044715 x^3), the rounding of w made good in the same way.
long double gelu_tanh_of(long double x) {
  if (fabsl(x) > 100) return x < 0 ? -0.0L : x;
  const Big b = x;
  const Big a = static_cast<Big>(1.595769121605730711706L) + static_cast<Big>(0x1.f9678a017571cp-65);
  const Big w = a * (b + static_cast<Big>(44715) / 1000000 * b * b * b);
  const auto high = static_cast<long double>(w);
  const auto low = static_cast<long double>(w - high);
  return high < 0 ? x * expl(high) * (1 + low) / (1 + expl(high)) : x / (1 + expl(-high) * (1 - low));
}

// From the one in f64, steps of Newton's.
long double erfinv_exact(long double x) {
  long double y = erfinv_of(static_cast<double>(x));
  const long double size = fabsl(x);
  if (!(size < 1) || size == 0) return y;
  y = fabsl(y);
  for (int i = 0; i < 3; ++i) {
    const long double density = 1.128379167095512573848L * expl(-y * y);
    y += size < 0.5L ? (size - erfl(y)) / density : erfcl(y) / density * logl(erfcl(y) / (1 - size));
  }
  return copysignl(y, x);
}

const std::vector<Wide>& wides() {
  using V = VectorMath;
  static const std::vector<Wide> all{
      {"exp", &V::exp, expl, 2, -745, 709},
      {"exp2", &V::exp2, exp2l, 2, -1074, 1024},
      {"expm1", &V::expm1, expm1l, 3, -3, 3},
      {"log", &V::log, logl, 2, 0.5, 2},
      {"log2", &V::log2, log2l, 3, 0.5, 2},
      {"log10", &V::log10, log10l, 3, 0.5, 2},
      {"log1p", &V::log1p, log1pl, 2, -1, 2},
      {"sqrt", &V::sqrt, sqrtl, 0.501, 0, 4},
      {"rsqrt", &V::rsqrt, [](long double x) { return 1 / sqrtl(x); }, 2, 0, 4},
      {"sinh", &V::sinh, sinhl, 4, -3, 3},
      {"cosh", &V::cosh, coshl, 2, -3, 3},
      {"tanh", &V::tanh, tanhl, 4, -3, 3},
      {"asinh", &V::asinh, asinhl, 4, -3, 3},
      {"acosh", &V::acosh, acoshl, 4, 1, 3},
      {"atanh", &V::atanh, atanhl, 4, -1, 1},
      {"sin", &V::sin, sinl, 2, -100, 100, 0x1p48, 0x1p20},
      {"cos", &V::cos, cosl, 2, -100, 100, 0x1p48, 0x1p20},
      {"tan", &V::tan, tanl, 3, -100, 100, 0x1p48, 0x1p20},
      {"asin", &V::asin, asinl, 3, -1, 1},
      {"acos", &V::acos, acosl, 3, -1, 1},
      {"atan", &V::atan, atanl, 3, -3, 3},
      {"erf", &V::erf, erfl, 3, -6, 6},
      {"erfinv", &V::erfinv, erfinv_exact, 4, -1, 1},
      {"sigmoid", &V::sigmoid, sigmoid_of, 3, -40, 40},
      {"softplus", &V::softplus, [](long double x) { return fmaxl(x, 0) + log1pl(expl(-fabsl(x))); }, 3, -40, 40},
      {"silu", &V::silu, [](long double x) { return isinf(x) && x < 0 ? -0.0L : x * sigmoid_of(x); }, 4, -740, 40},
      {"gelu", &V::gelu, gelu_of, 4, -40, 8},
      {"gelu_tanh", &V::gelu_tanh, gelu_tanh_of, 4, -22, 8},
      {"floor", &V::floor, floorl, 0, -100, 100},
      {"ceil", &V::ceil, ceill, 0, -100, 100},
      {"trunc", &V::trunc, truncl, 0, -100, 100},
      {"round", &V::round, rintl, 0, -100, 100},
  };
  return all;
}

Programs& programs() {
  static Programs all([] {
    std::vector<Body> bodies;
    for (const Wide& f : wides())
      bodies.push_back({f.name, Element::f64, Element::f64,
                        [emit = f.emit](VectorMath& math, llvm::IRBuilder<>&, llvm::Value* x, llvm::Value*) {
                          return (math.*emit)(x);
                        }});
    return bodies;
  }());
  return all;
}

// Numbers between the ends, of any size, next to 0 and to 1, next to multiples of pi/2, and with few bits.
void sample(const Wide& f, std::vector<double>& x, Numbers& numbers) {
  for (double& v : x) {
    const uint64_t kind = numbers.next() % 8;
    const double sign = numbers.next() % 2 ? 1 : -1;
    if (kind < 3)
      v = numbers.uniform(f.low, f.high);
    else if (kind == 3)
      v = double_of(numbers.next());
    else if (kind == 4)
      v = sign * exp2(numbers.uniform(-60, 60));
    else if (kind == 5)
      v = sign * (1 + numbers.uniform(-1, 1) * exp2(-numbers.uniform(0, 52)));
    else if (kind == 6)
      v = sign * rint(exp2(numbers.uniform(0, 48))) * M_PI_2 * (1 + numbers.uniform(-1, 1) * 0x1p-50);
    else
      v = rint(numbers.uniform(-4096, 4096)) * exp2(-rint(numbers.uniform(0, 12)));
  }
}

TEST(F64, AccuracyOfASample) {
  constexpr size_t batch = 4096;
  const int rounds = long_tests() ? 1 << 12 : 64;
  std::vector<double> x(batch), fused(batch), apart(batch);
  for (const Wide& f : wides()) {
    Numbers numbers{11};
    double worst[2] = {}, at[2] = {};
    const bool has_fused = codegen::host_target().lanes != 4;
    const double limits[] = {has_fused ? f.limit : f.limit_apart, f.limit_apart};
    for (int round = 0; round < rounds; ++round) {
      sample(f, x, numbers);
      programs().native.find(f.name, 16)(x.data(), x.data(), fused.data(), batch);
      programs().plain.find(f.name, 4)(x.data(), x.data(), apart.data(), batch);
      for (size_t i = 0; i < batch; ++i) {
        const long double exact = f.reference(x[i]);
        for (int k : {0, 1}) {
          if (fabs(x[i]) > limits[k] && !isinf(x[i])) continue;
          const double error = ulps(k == 0 ? fused[i] : apart[i], exact);
          if (error > worst[k]) worst[k] = error, at[k] = x[i];
        }
      }
    }
    for (int k : {0, 1})
      EXPECT_LE(worst[k], f.bound) << fmt::format("{} {} of {:a}", k == 0 ? "fused" : "apart", f.name, at[k]);
    fmt::print("{:<10} worst fused {:.3f} ULP at {:a}, apart {:.3f} at {:a}\n", f.name, worst[0], at[0], worst[1],
               at[1]);
  }
}

TEST(F64, SpecialValues) {
  constexpr double inf = INFINITY, least = 0x1p-1074;
  const std::vector<double> x{-inf, -least, -0.0, 0,  least, inf, 1, -1, NAN, -NAN, double_of(0x7ff0000000000001),
                              0.5,  -0.5,   2,    -2, 1.5};
  std::vector<double> out(x.size());
  programs().each([&](const char* kind, auto find, bool) {
    for (const Wide& f : wides()) {
      find(f.name)(x.data(), x.data(), out.data(), static_cast<int64_t>(x.size()));
      for (size_t i = 0; i < x.size(); ++i) {
        const long double exact = f.reference(x[i]);
        const auto what =
            fmt::format("{} {}({:a}) is {:a}, expected {:a}", kind, f.name, x[i], out[i], static_cast<double>(exact));
        EXPECT_LE(ulps(out[i], exact), f.bound) << what;
        EXPECT_TRUE(isnan(exact) || std::signbit(out[i]) == std::signbit(exact)) << what;
        // What is exactly 0, 1 or infinite comes out so.
        const bool plain = exact == 0 || fabsl(exact) == 1 || isinf(exact);
        EXPECT_TRUE(!plain || out[i] == static_cast<double>(exact)) << what;
      }
    }
  });
}

TEST(F64, PowersOfTheBases) {
  for (double power : {-1074, -1022, -1, 0, 10, 1023}) {
    const std::vector<double> x(16, power), y(16, ldexp(1, static_cast<int>(power)));
    std::vector<double> out(16);
    programs().each([&](const char* kind, auto find, bool) {
      find("exp2")(x.data(), x.data(), out.data(), 16);
      EXPECT_EQ(out[0], y[0]) << kind;
      find("log2")(y.data(), y.data(), out.data(), 16);
      EXPECT_EQ(out[0], power) << kind;
    });
  }
}

TEST(F64, SameBitsAtEveryWidth) {
  std::vector<double> x(1 << 14), wide(x.size()), one(x.size());
  for (const Wide& f : wides()) {
    Numbers numbers{13};
    sample(f, x, numbers);
    programs().native.find(f.name, 16)(x.data(), x.data(), wide.data(), static_cast<int64_t>(x.size()));
    programs().native.find(f.name, 1)(x.data(), x.data(), one.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_TRUE(bits_of(wide[i]) == bits_of(one[i]) || (isnan(wide[i]) && isnan(one[i]))) << f.name << ' ' << x[i];
  }
}

}  // namespace
}  // namespace gmc::test
