#include "compiler/codegen/cpu/functions.h"

#include "compiler/codegen/vector_math.h"
#include "runtime/base/error.h"

#include <llvm/ADT/APSInt.h>

#include <cmath>
#include <limits>

namespace gmc::codegen {
namespace {

using llvm::Value;
using llvm::Intrinsic::ID;

bool is_signed(DType d) { return d != DType::u8 && d != DType::boolean; }
Value* constant_like(Value* x, uint64_t value) { return llvm::ConstantInt::get(x->getType(), value, true); }

class Functions {
public:
  Functions(llvm::IRBuilder<>& b, const Target& target, std::span<Value* const> x, DType from)
      : b_(b), math_(b, target.lanes, target), x_(x), from_(from),
        lanes_(llvm::cast<llvm::FixedVectorType>(x[0]->getType())->getNumElements()) {}

  // Nullptr if the function does not know the dtype.
  Value* emit(const std::string& f, DType to) {
    if (f == "copy") return x_[0];
    if (f == "select") return b_.CreateSelect(x_[0], x_[1], x_[2]);
    if (f == "cast") return cast(x_[0], from_, to);
    if (is_half(from_)) return nullptr;
    if (f == "max" || f == "min") return combine(b_, f, from_, x_[0], x_[1]);
    return is_float(from_) ? floating(f) : integral(f);
  }

private:
  llvm::Type* vector(DType d) { return llvm::FixedVectorType::get(register_type(b_.getContext(), d), lanes_); }
  Value* zero() { return llvm::Constant::getNullValue(x_[0]->getType()); }

  Value* cast(Value* x, DType from, DType to) {
    if (from == to) return x;
    if (from == DType::bf16) return cast(math_.from_bf16(x), DType::f32, to);
    if (from == DType::f16) return cast(math_.from_f16(x), DType::f32, to);
    if (to == DType::bf16) return math_.to_bf16(cast(x, from, DType::f32));
    if (to == DType::f16) return math_.to_f16(cast(x, from, DType::f32));
    Value* null = llvm::Constant::getNullValue(x->getType());
    if (to == DType::boolean) return is_float(from) ? b_.CreateFCmpUNE(x, null) : b_.CreateICmpNE(x, null);
    if (is_float(from) && is_float(to))
      return to == DType::f64 ? b_.CreateFPExt(x, vector(to)) : b_.CreateFPTrunc(x, vector(to));
    if (is_float(to)) return is_signed(from) ? b_.CreateSIToFP(x, vector(to)) : b_.CreateUIToFP(x, vector(to));
    if (is_float(from)) return math_.to_integer(x, register_type(b_.getContext(), to), is_signed(to));
    return b_.CreateIntCast(x, vector(to), is_signed(from));
  }

  Value* floating(const std::string& f) {
    Value *x = x_[0], *y = x_.size() > 1 ? x_[1] : nullptr;
    if (f == "add") return b_.CreateFAdd(x, y);
    if (f == "sub") return b_.CreateFSub(x, y);
    if (f == "mul") return b_.CreateFMul(x, y);
    if (f == "div") return b_.CreateFDiv(x, y);
    if (f == "neg") return b_.CreateFNeg(x);
    if (f == "abs") return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x);
    if (f == "less") return b_.CreateFCmpOLT(x, y);
    if (f == "equal") return b_.CreateFCmpOEQ(x, y);
    if (f == "sign") {
      Value* unit = b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, llvm::ConstantFP::get(x->getType(), 1.0), x);
      Value* value = b_.CreateSelect(b_.CreateFCmpONE(x, zero()), unit, zero());
      return b_.CreateSelect(b_.CreateFCmpUNO(x, x), x, value);
    }
    return y ? mathematics(f, x, y) : mathematics(f, x);
  }

  Value* mathematics(const std::string& f, Value* x) {
    using Method = Value* (VectorMath::*)(Value*);
    static constexpr std::pair<const char*, Method> methods[] = {
        {"exp", &VectorMath::exp},           {"exp2", &VectorMath::exp2},
        {"expm1", &VectorMath::expm1},       {"log", &VectorMath::log},
        {"log2", &VectorMath::log2},         {"log10", &VectorMath::log10},
        {"log1p", &VectorMath::log1p},       {"sqrt", &VectorMath::sqrt},
        {"rsqrt", &VectorMath::rsqrt},       {"sinh", &VectorMath::sinh},
        {"cosh", &VectorMath::cosh},         {"tanh", &VectorMath::tanh},
        {"asinh", &VectorMath::asinh},       {"acosh", &VectorMath::acosh},
        {"atanh", &VectorMath::atanh},       {"sin", &VectorMath::sin},
        {"cos", &VectorMath::cos},           {"tan", &VectorMath::tan},
        {"asin", &VectorMath::asin},         {"acos", &VectorMath::acos},
        {"atan", &VectorMath::atan},         {"erf", &VectorMath::erf},
        {"erfinv", &VectorMath::erfinv},     {"floor", &VectorMath::floor},
        {"ceil", &VectorMath::ceil},         {"trunc", &VectorMath::trunc},
        {"round", &VectorMath::round},       {"sigmoid", &VectorMath::sigmoid},
        {"softplus", &VectorMath::softplus}, {"silu", &VectorMath::silu},
        {"gelu", &VectorMath::gelu},         {"gelu_tanh", &VectorMath::gelu_tanh},
    };
    for (const auto& [name, method] : methods)
      if (f == name) return (math_.*method)(x);
    return nullptr;
  }

  Value* mathematics(const std::string& f, Value* x, Value* y) {
    if (f == "pow") return math_.pow(x, y);
    if (f == "atan2") return math_.atan2(x, y);
    if (f == "fmod") return math_.fmod(x, y);
    return f == "mod" ? math_.mod(x, y) : nullptr;
  }

  Value* integral(const std::string& f) {
    Value *x = x_[0], *y = x_.size() > 1 ? x_[1] : nullptr;
    if (f == "equal") return b_.CreateICmpEQ(x, y);
    if (f == "bit_and") return b_.CreateAnd(x, y);
    if (f == "bit_or") return b_.CreateOr(x, y);
    if (f == "bit_xor") return b_.CreateXor(x, y);
    if (from_ == DType::boolean) return nullptr;
    if (f == "add") return b_.CreateAdd(x, y);
    if (f == "sub") return b_.CreateSub(x, y);
    if (f == "mul") return b_.CreateMul(x, y);
    if (f == "neg") return b_.CreateNeg(x);
    if (f == "less") return is_signed(from_) ? b_.CreateICmpSLT(x, y) : b_.CreateICmpULT(x, y);
    if (f == "abs") return is_signed(from_) ? b_.CreateSelect(b_.CreateICmpSLT(x, zero()), b_.CreateNeg(x), x) : x;
    if (f == "sign") {
      Value* positive = b_.CreateZExt(b_.CreateICmpNE(x, zero()), x->getType());
      if (!is_signed(from_)) return positive;
      return b_.CreateSelect(b_.CreateICmpSLT(x, zero()), constant_like(x, ~uint64_t{0}), positive);
    }
    if (f == "div" || f == "mod" || f == "fmod") return division(f);
    if (f == "shift_left" || f == "shift_right") return shift(f);
    return nullptr;
  }

  // By 0: 0. The one quotient that overflows wraps. `fmod` has the dividend's sign, `mod` the divisor's.
  Value* division(const std::string& f) {
    Value *x = x_[0], *y = x_[1];
    Value* one = constant_like(y, 1);
    Value* by_zero = b_.CreateICmpEQ(y, zero());
    if (!is_signed(from_)) {
      Value* divisor = b_.CreateSelect(by_zero, one, y);
      return b_.CreateSelect(by_zero, zero(), f == "div" ? b_.CreateUDiv(x, divisor) : b_.CreateURem(x, divisor));
    }
    Value* by_minus_one = b_.CreateICmpEQ(y, constant_like(y, ~uint64_t{0}));
    Value* divisor = b_.CreateSelect(b_.CreateOr(by_zero, by_minus_one), one, y);
    if (f == "div") {
      Value* quotient = b_.CreateSelect(by_minus_one, b_.CreateNeg(x), b_.CreateSDiv(x, divisor));
      return b_.CreateSelect(by_zero, zero(), quotient);
    }
    // The remainder by 1 is 0, as it is by -1 and, by definition, by 0.
    Value* rest = b_.CreateSRem(x, divisor);
    if (f == "fmod") return rest;
    Value* other_sign = b_.CreateICmpSLT(b_.CreateXor(rest, y), zero());
    Value* wraps = b_.CreateAnd(other_sign, b_.CreateICmpNE(rest, zero()));
    return b_.CreateSelect(wraps, b_.CreateAdd(rest, y), rest);
  }

  // By a negative number or by the width and more, all bits are shifted out.
  Value* shift(const std::string& f) {
    Value *x = x_[0], *y = x_[1];
    const uint64_t width = x->getType()->getScalarSizeInBits();
    Value* inside = b_.CreateICmpULT(y, constant_like(y, width));
    Value* amount = b_.CreateSelect(inside, y, constant_like(y, width - 1));
    if (f == "shift_left") return b_.CreateSelect(inside, b_.CreateShl(x, amount), zero());
    if (is_signed(from_)) return b_.CreateAShr(x, amount);
    return b_.CreateSelect(inside, b_.CreateLShr(x, amount), zero());
  }

  llvm::IRBuilder<>& b_;
  VectorMath math_;
  std::span<Value* const> x_;
  DType from_;
  unsigned lanes_;
};

}  // namespace

llvm::Type* register_type(llvm::LLVMContext& c, DType d) {
  switch (d) {
  case DType::f32:
    return llvm::Type::getFloatTy(c);
  case DType::f64:
    return llvm::Type::getDoubleTy(c);
  case DType::boolean:
    return llvm::Type::getInt1Ty(c);
  default:
    return llvm::Type::getIntNTy(c, static_cast<unsigned>(size_of(d)) * 8);
  }
}

llvm::Type* memory_type(llvm::LLVMContext& c, DType d) {
  return d == DType::boolean ? llvm::Type::getInt8Ty(c) : register_type(c, d);
}

llvm::Constant* vector_constant(llvm::LLVMContext& c, DType d, double value, int lanes) {
  llvm::Constant* scalar = nullptr;
  llvm::Type* type = register_type(c, d);
  if (is_half(d)) {
    llvm::APFloat exact(value);
    bool inexact = false;
    exact.convert(d == DType::f16 ? llvm::APFloat::IEEEhalf() : llvm::APFloat::BFloat(),
                  llvm::APFloat::rmNearestTiesToEven, &inexact);
    scalar = llvm::ConstantInt::get(type, exact.bitcastToAPInt());
  } else if (is_float(d)) {
    scalar = llvm::ConstantFP::get(type, value);
  } else if (d == DType::boolean) {
    scalar = llvm::ConstantInt::getBool(c, value != 0);
  } else {
    llvm::APSInt whole(static_cast<unsigned>(size_of(d)) * 8, !is_signed(d));
    bool exact = false;
    llvm::APFloat(value).convertToInteger(whole, llvm::APFloat::rmTowardZero, &exact);
    scalar = llvm::ConstantInt::get(type, whole);
  }
  return llvm::ConstantVector::getSplat(llvm::ElementCount::getFixed(static_cast<unsigned>(lanes)), scalar);
}

Value* emit_function(llvm::IRBuilder<>& b, const Target& target, const std::string& function,
                     std::span<Value* const> operands, DType from, DType to) {
  Value* value = Functions(b, target, operands, from).emit(function, to);
  if (!value) fail("code generation knows no function '{}' of {}", function, name_of(from));
  return value;
}

Value* combine(llvm::IRBuilder<>& b, const std::string& monoid, DType d, Value* x, Value* y) {
  const bool greater = monoid == "max";
  if (d == DType::boolean) return greater ? b.CreateOr(x, y) : b.CreateAnd(x, y);
  if (!is_float(d)) {
    if (monoid == "sum") return b.CreateAdd(x, y);
    if (monoid == "prod") return b.CreateMul(x, y);
    const ID of_signed = greater ? llvm::Intrinsic::smax : llvm::Intrinsic::smin;
    const ID of_unsigned = greater ? llvm::Intrinsic::umax : llvm::Intrinsic::umin;
    return b.CreateBinaryIntrinsic(is_signed(d) ? of_signed : of_unsigned, x, y);
  }
  if (monoid == "sum") return b.CreateFAdd(x, y);
  if (monoid == "prod") return b.CreateFMul(x, y);
  // NaN if either is: the first wins when it is unordered with the second and itself NaN.
  Value* wins = greater ? b.CreateFCmpOGT(x, y) : b.CreateFCmpOLT(x, y);
  return b.CreateSelect(b.CreateOr(wins, b.CreateFCmpUNO(x, x)), x, y);
}

double monoid_identity(const std::string& monoid, DType d) {
  if (d == DType::boolean) return monoid == "min" ? 1 : 0;
  if (monoid == "sum") return 0;
  if (monoid == "prod") return 1;
  return monoid == "max" ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
}

Value* combine_lanes(llvm::IRBuilder<>& b, const std::string& monoid, DType d, Value* v) {
  auto lanes = static_cast<int>(llvm::cast<llvm::FixedVectorType>(v->getType())->getNumElements());
  while (lanes > 1) {
    lanes /= 2;
    std::vector<int> low, high;
    for (int i = 0; i < lanes; ++i) {
      low.push_back(i);
      high.push_back(i + lanes);
    }
    v = combine(b, monoid, d, b.CreateShuffleVector(v, low), b.CreateShuffleVector(v, high));
  }
  return b.CreateExtractElement(v, uint64_t{0});
}

}  // namespace gmc::codegen
