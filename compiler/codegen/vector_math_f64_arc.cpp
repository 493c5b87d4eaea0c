// asin, acos, atan and atan2 in f64.
#include "compiler/codegen/vector_math_f64.h"

namespace gmc::codegen {

using llvm::Value;

namespace {

constexpr double half_pi = 0x1.921fb54442d18p0, half_pi_low = 0x1.1a62633145c07p-54;

}  // namespace

Value* DoubleMath::arc_sine(Value* square, Value* t) {
  // asin t = t + t^3 P(t^2) for |t| <= 1/2, relative error below 2^-57.
  Value* p = polynomial(square, {0x1.5555555555556p-3, 0x1.3333333332e40p-4, 0x1.6db6db6e3ee07p-5, 0x1.f1c71c161d9c4p-6,
                                 0x1.6e8bb2ed2e91dp-6, 0x1.1c4d1bb037e1bp-6, 0x1.c9d1fade3e895p-7, 0x1.780a3d2d40df9p-7,
                                 0x1.52f43d3eb6f39p-7, 0x1.5fd44dac561bep-8, 0x1.20f898d9d7bb6p-6,
                                 -0x1.f27e75ea1b5cfp-7, 0x1.db1dd1bcad0a9p-6});
  return fma(b_.CreateFMul(t, square), p, t);
}

Value* DoubleMath::asin(Value* x) {
  // Past 1/2, asin x = pi/2 - 2 asin sqrt((1 - x) / 2).
  Value* size = abs(x);
  Value* far = is_more(size, 0.5);
  Value* rest = b_.CreateFMul(b_.CreateFSub(real(x, 1), size), real(x, 0.5));
  Value* square = b_.CreateSelect(far, rest, b_.CreateFMul(size, size));
  Value* y = arc_sine(square, b_.CreateSelect(far, root(rest), size));
  Value* complement = b_.CreateFSub(b_.CreateFAdd(y, y), real(x, half_pi_low));
  return copysign(b_.CreateSelect(far, b_.CreateFSub(real(x, half_pi), complement), y), x);
}

Value* DoubleMath::acos(Value* x) {
  Value* size = abs(x);
  Value* far = is_more(size, 0.5);
  Value* rest = b_.CreateFMul(b_.CreateFSub(real(x, 1), size), real(x, 0.5));
  Value* square = b_.CreateSelect(far, rest, b_.CreateFMul(x, x));
  Value* y = arc_sine(square, b_.CreateSelect(far, root(rest), x));
  // pi/2 - asin x; past 1/2, 2 asin sqrt((1 - x) / 2), and pi less that for -x.
  Value* twice = b_.CreateFAdd(y, y);
  Value* middle = b_.CreateFSub(real(x, half_pi), b_.CreateFSub(y, real(x, half_pi_low)));
  Value* reflected = b_.CreateFSub(real(x, 2 * half_pi), b_.CreateFSub(twice, real(x, 2 * half_pi_low)));
  return b_.CreateSelect(far, b_.CreateSelect(is_less(x, 0), reflected, twice), middle);
}

Value* DoubleMath::atan(Value* x) {
  // atan x = c + atan t with t = x, (x - 1) / (x + 1) past tan pi/8, -1/x past tan 3pi/8: |t| <= tan pi/8.
  Value* size = abs(x);
  Value* middle = is_more(size, 0x1.a827999fcef32p-2);
  Value* far = is_more(size, 0x1.3504f333f9de6p1);
  Value* numerator = b_.CreateSelect(middle, b_.CreateFSub(size, real(x, 1)), size);
  Value* denominator = b_.CreateSelect(middle, b_.CreateFAdd(size, real(x, 1)), real(x, 1));
  Value* t = b_.CreateFDiv(either(far, -1, numerator), b_.CreateSelect(far, size, denominator));
  // atan t = t + t^3 P(t^2), relative error below 2^-57.
  Value* square = b_.CreateFMul(t, t);
  Value* p =
      polynomial(square, {-0x1.5555555555555p-2, 0x1.9999999999957p-3, -0x1.249249248db6ap-3, 0x1.c71c71c32beb4p-4,
                          -0x1.745d16650587dp-4, 0x1.3b13939852038p-4, -0x1.110e94895068ap-4, 0x1.e19b2166de632p-5,
                          -0x1.ac81e133ca8eep-5, 0x1.74fd45bf14cfap-5, -0x1.1b803c3d9c168p-5, 0x1.0b74372dc7c37p-6});
  Value* base = either(far, half_pi, either(middle, half_pi / 2, real(x, 0)));
  Value* base_low = either(far, half_pi_low, either(middle, half_pi_low / 2, real(x, 0)));
  Value* rest = fma(b_.CreateFMul(t, square), p, base_low);
  return copysign(b_.CreateFAdd(base, b_.CreateFAdd(t, rest)), x);
}

Value* DoubleMath::atan2(Value* y, Value* x) {
  // The angle within its half quadrant, then reflected. Equal sizes cover inf / inf and 0 / 0.
  Value* height = abs(y);
  Value* width = abs(x);
  Value* steep = b_.CreateFCmpOGT(height, width);
  Value* quotient = b_.CreateFDiv(b_.CreateSelect(steep, width, height), b_.CreateSelect(steep, height, width));
  Value* equal = b_.CreateSelect(is_equal(width, 0), real(x, 0), real(x, 1));
  Value* angle = atan(b_.CreateSelect(b_.CreateFCmpOEQ(height, width), equal, quotient));
  Value* upright = b_.CreateFSub(real(x, half_pi), b_.CreateFSub(angle, real(x, half_pi_low)));
  angle = b_.CreateSelect(steep, upright, angle);
  Value* reflected = b_.CreateFSub(real(x, 2 * half_pi), b_.CreateFSub(angle, real(x, 2 * half_pi_low)));
  Value* left = b_.CreateICmpSLT(as_int(x), whole(as_int(x), 0));  // -0 too
  return copysign(b_.CreateSelect(left, reflected, angle), y);
}

}  // namespace gmc::codegen
