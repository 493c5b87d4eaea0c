// The error function in f64, its inverse, and gelu.
#include "compiler/codegen/vector_math_f64.h"

#include <iterator>
#include <limits>

namespace gmc::codegen {

using llvm::Value;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// erfinv x = x P, P in w = -log(1 - x^2): in w - 3.125 for w <= 6.25, in sqrt w - 3.25 for 6.25 < w <= 16, in
// sqrt w - 5.0625 above, up to 37.5 (that of the double next to 1 is 36.05). Relative errors below 2^-54.
constexpr double erfinv_middle[] = {
    0x1.a755e7c99ae86p0,    0x1.ebd80d9b13dfap-3,   -0x1.8b6c33114ead6p-8,  -0x1.84576948356aap-11,
    0x1.879c2a20b5292p-13,  -0x1.d1d1f7ca22330p-17, -0x1.6e8a53cde9418p-20, 0x1.c6b4f88bee56fp-22,
    -0x1.f36ced46846a8p-26, -0x1.1a9eb0f04bcaap-28, 0x1.20f5363e2371dp-30,  -0x1.dc3f13892efc8p-35,
    -0x1.c8a3f915895a5p-37, 0x1.7235e00657428p-39,  -0x1.6bdbe5bf7e0f1p-44, -0x1.686e61072c10dp-45,
    0x1.d6c6e69cc4e7cp-48,  -0x1.6fcf226edf9d4p-55, -0x1.1ca74dd811b7bp-53, 0x1.1ec21ccdb3633p-56,
    0x1.9aa63b29bcdfep-61,  -0x1.9bbfadf451dedp-62, 0x1.386af1774715dp-66,  0x1.e67f449113c0dp-69,
    -0x1.6adf42db30bb1p-72};
constexpr double erfinv_far[std::size(erfinv_middle)] = {
    0x1.8abcc380d5a48p1,    0x1.0158a6d641d56p0,    0x1.5ffcfe5b714b4p-8,   -0x1.ebadabba1844ap-9,
    0x1.468eeca73470cp-9,   -0x1.ba9240d33217ep-10, 0x1.f3cc551aaca67p-11,  -0x1.7448bdf4d7fe0p-12,
    0x1.932d7d42c1f16p-16,  0x1.1e6ae007ff366p-14,  -0x1.8cf0cff45b8bfp-15, 0x1.a23caa0915989p-17,
    0x1.88b28f0f03786p-19,  -0x1.0b5dec0309418p-18, 0x1.9243466d41648p-20,  -0x1.03fc1b477bf9dp-25,
    -0x1.232f20137c897p-22, 0x1.1fa3a3c09c6b3p-23,  0x1.5ca2072984595p-31,  -0x1.161943236c36bp-26};
constexpr double erfinv_farthest[std::size(erfinv_middle)] = {
    0x1.3a6f678932e7fp2,   0x1.02a1c126f26f3p0,    -0x1.73d5046c7f261p-13, -0x1.9cacac56d0d2ap-13,
    0x1.260719989ba18p-14, -0x1.2f0bc936a1a87p-16, 0x1.142d49b3d7a0dp-18,  -0x1.dc53c7d65b215p-21,
    0x1.a406efa24e028p-23, -0x1.c1386ad65a863p-25, 0x1.5d60ee571fbc6p-26,  -0x1.645ddee51dae0p-27,
    0x1.72d38fc286608p-28, -0x1.50b809a253392p-29, 0x1.0c069e33b3334p-30,  -0x1.9a16630520d52p-32,
    0x1.711bd495ad51bp-34, 0x1.c86a51e06aff9p-36,  -0x1.10c23102317f3p-36};

}  // namespace

Value* DoubleMath::small_erf(Value* x) {
  // erf x = x + x P(x^2) for |x| <= 1/2, relative error below 2^-56.
  Value* p = polynomial(b_.CreateFMul(x, x),
                        {0x1.06eba8214db69p-3, -0x1.812746b0379e6p-2, 0x1.ce2f21a042b2ap-4, -0x1.b82ce3127f806p-6,
                         0x1.565bcd0aaa501p-8, -0x1.c02db23ebc6dap-11, 0x1.f9a2a6b3c8766p-14, -0x1.f4bba96261230p-17,
                         0x1.b776edab9294ap-20, -0x1.3a00073ff722fp-23});
  return fma(x, p, x);
}

Value* DoubleMath::scaled_erfc(Value* x) {
  // (1 + 2 x) e^(x^2) erfc x is smooth in (x - 3) / (x + 3) (Shepherd and Laframboise, Mathematics of Computation 36,
  // 1981): a polynomial for 1/2 <= x <= 28, error below 2^-54.
  Value* u = b_.CreateFDiv(b_.CreateFSub(x, real(x, 3)), b_.CreateFAdd(x, real(x, 3)));
  Value* p =
      polynomial(u, {0x1.40c522d7e4987p0,   -0x1.15c084bb9e8f3p-3,  -0x1.85a15c58aa5cap-5,  0x1.098366a5b46e3p-3,
                     -0x1.e88b803a493efp-4, 0x1.17ca2877f0604p-4,   -0x1.8574c40bc5fbdp-6,  0x1.4b884e45b11f8p-9,
                     0x1.ef1bdd3c1b3fep-10, -0x1.98db5154e2118p-11, -0x1.b9126bd575150p-14, 0x1.065a3d6d36af7p-13,
                     0x1.4c20f01a13216p-18, -0x1.513c04a48b652p-16, -0x1.87cb539b03047p-21, 0x1.d212b91ab4387p-19,
                     0x1.79eace720637ep-22, -0x1.4ab67e4a4c3eap-21, -0x1.1df5adba2e03ep-23, 0x1.ad3b9dda75e04p-24,
                     0x1.1d2b23cc2ec40p-25, -0x1.7ce5d676166e8p-27, -0x1.0e2576271bda5p-28});
  return b_.CreateFDiv(p, fma(x, real(x, 2), real(x, 1)));
}

DoubleMath::Exponential DoubleMath::gauss(Value* x, double factor) {
  // The square in two numbers: its absolute error is the relative error of the result.
  const Pair square = product(x, x);
  return exponential(Pair{b_.CreateFMul(square.high, real(x, factor)), b_.CreateFMul(square.low, real(x, factor))});
}

Value* DoubleMath::erf(Value* x) {
  Value* size = at_most(abs(x), 6);  // erf 6 rounds to 1
  const Exponential e = gauss(size, -1);
  Value* complement = scale(b_.CreateFMul(e.mantissa, scaled_erfc(size)), e.exponent);
  Value* large = b_.CreateFSub(real(x, 1), complement);
  return copysign(b_.CreateSelect(is_less(size, 0.5), small_erf(size), large), x);
}

Value* DoubleMath::gelu(Value* x) {
  // x Phi(x), with Phi(x) = (1 + erf(x / sqrt 2)) / 2 near 0. Further out s Phi(-s) = H(s) e^(-s^2/2), where H tends to
  // 1 / sqrt(2 pi), and s Phi(s) is s less that.
  Value* size = at_most(abs(x), 40);  // s Phi(-s) rounds to 0 there
  Value* phi = small_erf(b_.CreateFMul(size, real(x, 0x1.6a09e667f3bcdp-1)));
  Value* near = b_.CreateFMul(x, fma(copysign(phi, x), real(x, 0.5), real(x, 0.5)));
  // H in (s - 4) / (s + 4) for 0.707 <= s <= 40, relative error below 2^-54.
  Value* u = b_.CreateFDiv(b_.CreateFSub(size, real(x, 4)), b_.CreateFAdd(size, real(x, 4)));
  Value* h =
      polynomial(u, {0x1.82b4bb8c94dcep-2,  0x1.2dda040d62d0ep-4,   -0x1.c41d6bcaf84e2p-4,  0x1.9adc525a90227p-4,
                     -0x1.024df8efd4569p-4, 0x1.b0ffe01db9d9bp-6,   -0x1.691976f8a258bp-8,  -0x1.e4abd3e16ea7ap-11,
                     0x1.ce76f60504e39p-11, -0x1.99fef43f0b06ep-15, -0x1.e8a4c10fd7c3cp-14, 0x1.16cf09a247ac0p-16,
                     0x1.2cd65540659a3p-16, -0x1.5d425fa2cf9f1p-19, -0x1.b7dc4f8362ff4p-19, 0x1.a80073b5f5f38p-23,
                     0x1.5e1b47108bb25p-21, 0x1.d7996127b72bbp-25,  -0x1.13bde85e55560p-23, -0x1.09285d94c684ap-25,
                     0x1.97c8393df572ep-26, 0x1.b5afc09835a73p-28,  -0x1.dd310d4284489p-29});
  const Exponential e = gauss(size, -0.5);
  Value* rest = scale(b_.CreateFMul(e.mantissa, h), e.exponent);
  Value* far = b_.CreateSelect(is_less(x, 0), b_.CreateFNeg(rest), b_.CreateFSub(x, rest));
  return b_.CreateSelect(is_less(size, 0.7071), near, far);
}

Value* DoubleMath::erfinv(Value* x) {
  Value* size = abs(x);
  Value* w = b_.CreateFNeg(log(b_.CreateFMul(b_.CreateFSub(real(x, 1), size), b_.CreateFAdd(size, real(x, 1)))));
  Value* far = is_more(w, 6.25);
  Value* farthest = is_more(w, 16);
  Value* t = b_.CreateSelect(far, root(w), w);
  t = b_.CreateFSub(t, either(farthest, 5.0625, either(far, 3.25, real(x, 3.125))));
  auto coefficient = [&](size_t i) {
    return either(farthest, erfinv_farthest[i], either(far, erfinv_far[i], real(x, erfinv_middle[i])));
  };
  Value* p = coefficient(std::size(erfinv_middle) - 1);
  for (size_t i = std::size(erfinv_middle) - 1; i-- > 0;) p = fma(p, t, coefficient(i));
  Value* y = b_.CreateFMul(x, p);
  y = b_.CreateSelect(is_equal(size, 1), copysign(real(x, infinity), x), y);
  return either(is_more(size, 1), nan, y);
}

}  // namespace gmc::codegen
