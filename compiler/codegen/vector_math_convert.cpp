// Conversions between f32 and the floats of 16 bits, and from floats to integers.
#include "compiler/codegen/vector_math.h"

#include "compiler/codegen/vector_math_detail.h"
#include "runtime/base/error.h"

#include <cmath>

namespace gmc::codegen {

using llvm::Value;

Value* VectorMath::to_bf16(Value* x) {
  Value* bits = as_int(x);
  // Half an ULP, less the least bit where the kept part is even: ties round to even. NaN keeps its sign and is quiet.
  Value* odd = b_.CreateAnd(b_.CreateLShr(bits, 16), 1);
  Value* rounded = b_.CreateAdd(b_.CreateAdd(bits, whole(bits, 0x7fff)), odd);
  Value* quiet = b_.CreateOr(bits, whole(bits, 0x400000));
  Value* chosen = b_.CreateSelect(b_.CreateFCmpUNO(x, x), quiet, rounded);
  return b_.CreateTrunc(b_.CreateLShr(chosen, 16), with_element(x, b_.getInt16Ty()));
}

Value* VectorMath::from_bf16(Value* bits) {
  Value* wide = b_.CreateZExt(bits, with_element(bits, b_.getInt32Ty()));
  return as_float(b_.CreateShl(wide, 16));
}

Value* VectorMath::to_f16(Value* x) {
  Exact exact(b_);
  if (fused_)
    return b_.CreateBitCast(b_.CreateFPTrunc(x, with_element(x, b_.getHalfTy())), with_element(x, b_.getInt16Ty()));
  Value* size = abs(x);
  Value* bits = as_int(size);
  // The exponent moves from bias 127 to 15; ties to even as above. A carry goes into the exponent, up to infinity.
  Value* odd = b_.CreateAnd(b_.CreateLShr(bits, 13), 1);
  Value* rounded = b_.CreateAdd(bits, b_.CreateAdd(odd, whole(bits, 0xfff - (112u << 23))));
  Value* normal = b_.CreateLShr(rounded, 13);
  // Below 2^-14 results are multiples of 2^-24, the spacing of floats at 1/2: the sum with it rounds to one.
  Value* subnormal = b_.CreateSub(as_int(b_.CreateFAdd(size, real(x, 0.5))), whole(bits, 0x3f000000));
  Value* half = b_.CreateSelect(is_less(size, 0x1p-14), subnormal, normal);
  half = b_.CreateSelect(b_.CreateFCmpOGE(size, real(x, 65520)), whole(bits, 0x7c00), half);
  half = b_.CreateSelect(b_.CreateFCmpUNO(x, x), whole(bits, 0x7e00), half);
  Value* sign = b_.CreateAnd(b_.CreateLShr(as_int(x), 16), 0x8000);
  return b_.CreateTrunc(b_.CreateOr(half, sign), with_element(x, b_.getInt16Ty()));
}

Value* VectorMath::from_f16(Value* bits) {
  Exact exact(b_);
  if (fused_)
    return b_.CreateFPExt(b_.CreateBitCast(bits, with_element(bits, b_.getHalfTy())),
                          with_element(bits, b_.getFloatTy()));
  Value* wide = b_.CreateZExt(bits, with_element(bits, b_.getInt32Ty()));
  Value* size = b_.CreateAnd(wide, whole(wide, 0x7fff));
  // Exponent and fraction in place, but for the bias: a factor 2^112, exact for subnormals too.
  Value* placed = as_float(b_.CreateShl(size, 13));
  Value* scaled = as_int(b_.CreateFMul(placed, real(placed, 0x1p112)));
  Value* special = b_.CreateICmpUGE(size, whole(size, 0x7c00));
  scaled = b_.CreateOr(scaled, b_.CreateSelect(special, whole(size, 0x7f800000), whole(size, 0)));
  return as_float(b_.CreateOr(scaled, b_.CreateShl(b_.CreateAnd(wide, whole(wide, 0x8000)), 16)));
}

Value* VectorMath::to_integer(Value* x, llvm::Type* element, bool is_signed) {
  Exact exact(b_);
  const unsigned bits = element->getIntegerBitWidth();
  if (bits > (is_signed ? 64u : 32u)) fail("no conversion to integers of {} bits", bits);
  // The ends as numbers of the type of x: the upper one inside, since the next may not be an integer of the type.
  const unsigned value_bits = is_signed ? bits - 1 : bits;
  const unsigned precision = is_double(x) ? 53 : 24;
  const double past = std::ldexp(1, static_cast<int>(value_bits));
  const double last = past - std::ldexp(1, value_bits > precision ? static_cast<int>(value_bits - precision) : 0);
  Value* number = b_.CreateSelect(b_.CreateFCmpORD(x, x), x, real(x, 0));
  Value* inside = at_least(at_most(number, last), is_signed ? -past : 0);
  // By way of i32 or i64, whose conversions are instructions.
  llvm::Type* step = value_bits > 31 ? b_.getInt64Ty() : static_cast<llvm::Type*>(b_.getInt32Ty());
  Value* converted = b_.CreateTrunc(b_.CreateFPToSI(inside, with_element(x, step)), with_element(x, element));
  if (value_bits <= precision) return converted;
  Value* most = llvm::ConstantInt::get(converted->getType(), llvm::APInt::getLowBitsSet(bits, value_bits));
  return b_.CreateSelect(b_.CreateFCmpOGE(number, real(x, past)), most, converted);
}

}  // namespace gmc::codegen
