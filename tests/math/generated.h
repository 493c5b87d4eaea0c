// The vector functions compiled into loops over arrays, and what they are compared with.
#pragma once

#include "compiler/codegen/vector_math.h"
#include "compiler/package/jit.h"
#include "runtime/base/error.h"
#include "runtime/execute/package.h"
#include "runtime/execute/random.h"

#include <math.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gmc::test {

using codegen::VectorMath;
using Loop = void (*)(const void* in, void* out, int64_t count);  // count is a multiple of the width
using Stream = void (*)(uint64_t key, uint64_t first, uint64_t loop, uint32_t* out);
using StreamAt = void (*)(uint64_t key, const uint64_t* elements, uint64_t loop, uint32_t* out);
using Key = uint64_t (*)(const execute::RunParameters*);

constexpr uint64_t key_stream = 0x0123456789abcdef;

// What a function must be: `bound` ULP where `far` does not hold, and |error| <= |x| 2^-23 where it does.
struct Function {
  const char* name;
  llvm::Value* (VectorMath::*emit)(llvm::Value*);
  double (*reference)(double);
  double bound;
  float limit = INFINITY, limit_apart = INFINITY;  // the bounds hold for |x| up to these
  bool gelu = false;                               // the error is absolute below -1
};

inline double sigmoid_of(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
// At -inf the limit from the right of it, as for all forms of x times a probability.
inline double times(double x, double p) { return x == -INFINITY ? -0.0 : x * p; }

// sqrt(1/2) times the normal quantile: Newton's steps on erf below 1/2 and on log erfc above, from sqrt(w) or x itself.
inline double erfinv_of(double x) {
  if (!(fabs(x) < 1)) return fabs(x) == 1 ? copysign(INFINITY, x) : NAN;
  const double size = fabs(x), w = -(::log1p(-size) + ::log1p(size));
  constexpr double slope = 1.1283791670955125739;  // 2 / sqrt(pi)
  double y = w < 1 ? size / slope : ::sqrt(w);
  for (int i = 0; i < 40; ++i) {
    const double density = slope * exp(-y * y);
    const double step = size < 0.5 ? (size - erf(y)) / density : erfc(y) / density * ::log(erfc(y) / (1 - size));
    y += step;
    if (fabs(step) <= 1e-14 * y) break;
  }
  return copysign(y, x);
}

inline const std::vector<Function>& functions() {
  static const std::vector<Function> all{
      {"exp", &VectorMath::exp, ::exp, 2},
      {"expm1", &VectorMath::expm1, ::expm1, 2},
      {"log", &VectorMath::log, ::log, 2},
      {"log1p", &VectorMath::log1p, ::log1p, 2},
      {"tanh", &VectorMath::tanh, ::tanh, 2},
      {"sqrt", &VectorMath::sqrt, ::sqrt, 0.5},
      {"rsqrt", &VectorMath::rsqrt, [](double x) { return 1 / ::sqrt(x); }, 2},
      {"erf", &VectorMath::erf, ::erf, 2},
      {"sin", &VectorMath::sin, ::sin, 2, 0x1p48f, 0x1p20f},
      {"cos", &VectorMath::cos, ::cos, 2, 0x1p48f, 0x1p20f},
      {"sigmoid", &VectorMath::sigmoid, sigmoid_of, 3},
      {"softplus", &VectorMath::softplus, [](double x) { return fmax(x, 0) + ::log1p(::exp(-fabs(x))); }, 2},
      {"silu", &VectorMath::silu, [](double x) { return times(x, sigmoid_of(x)); }, 4},
      {"gelu", &VectorMath::gelu, [](double x) { return times(x, 0.5 * erfc(-x * M_SQRT1_2)); }, 4, INFINITY, INFINITY,
       true},
      {"gelu_tanh", &VectorMath::gelu_tanh,
       [](double x) { return times(x, sigmoid_of(1.595769121605730711759784 * x * (1 + 0.044715 * x * x))); }, 4,
       INFINITY, INFINITY, true},
      {"exp2", &VectorMath::exp2, ::exp2, 1},
      {"log2", &VectorMath::log2, ::log2, 1},
      {"log10", &VectorMath::log10, ::log10, 1},
      {"sinh", &VectorMath::sinh, ::sinh, 1},
      {"cosh", &VectorMath::cosh, ::cosh, 1},
      {"asinh", &VectorMath::asinh, ::asinh, 1},
      {"acosh", &VectorMath::acosh, ::acosh, 1},
      {"atanh", &VectorMath::atanh, ::atanh, 1},
      {"tan", &VectorMath::tan, ::tan, 1, 0x1p48f, 0x1p20f},
      {"asin", &VectorMath::asin, ::asin, 1},
      {"acos", &VectorMath::acos, ::acos, 1},
      {"atan", &VectorMath::atan, ::atan, 1},
      {"erfinv", &VectorMath::erfinv, erfinv_of, 4},
      {"floor", &VectorMath::floor, ::floor, 0},
      {"ceil", &VectorMath::ceil, ::ceil, 0},
      {"trunc", &VectorMath::trunc, ::trunc, 0},
      {"round", &VectorMath::round, ::rint, 0},
  };
  return all;
}

inline float float_of(uint32_t bits) {
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

inline uint32_t bits_of(float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  return bits;
}

// |got - exact| in units of the spacing of floats at `exact`; infinite if only one is NaN. An infinity counts as 2^128,
// and is right for everything that rounds to it.
inline double ulps(float got, double exact) {
  if (isnan(exact) || isnan(got)) return isnan(exact) && isnan(got) ? 0 : INFINITY;
  if (isinf(exact)) exact = copysign(0x1p128, exact);
  exact = std::clamp(exact, -0x1p128, 0x1p128);
  const double value = isinf(got) ? copysign(0x1p128, got) : got;
  if (fabs(exact) >= 0x1.ffffffp127 && value == copysign(0x1p128, exact)) return 0;
  uint64_t bits;
  memcpy(&bits, &exact, 8);
  const int exponent = std::clamp(static_cast<int>(bits >> 52 & 0x7ff) - 1023, -126, 127);
  const uint64_t spacing_bits = static_cast<uint64_t>(1023 - (exponent - 23)) << 52;
  double inverse_spacing;
  memcpy(&inverse_spacing, &spacing_bits, 8);
  return fabs(value - exact) * inverse_spacing;
}

// The functions of one target in memory (or only as an object, if this machine cannot run them).
class Generated {
public:
  Generated(const codegen::Target& target, std::vector<int> widths) : target_(target) {
    llvm::LLVMContext context;
    const auto machine = codegen::make_target_machine(target);
    const auto module = codegen::make_module(context, "math", *machine);
    for (int width : widths) emit_width(*module, width);
    emit_key(*module);
    codegen::optimise(*module, *machine);
    object = codegen::emit_object(*module, *machine);
  }

  Loop loop(const std::string& name, int width) { return reinterpret_cast<Loop>(find(name, width)); }
  Stream stream(int width) { return reinterpret_cast<Stream>(find("philox", width)); }
  StreamAt stream_at(int width) { return reinterpret_cast<StreamAt>(find("philox_at", width)); }
  Key key() { return reinterpret_cast<Key>(find("key", 0)); }

  codegen::Object object;

private:
  void* find(const std::string& name, int width) {
    if (!jit_) {
      jit_ = std::make_unique<package::Jit>();
      jit_->add(object, "math");
    }
    return jit_->lookup(fmt::format("math_{}_{}", name, width));
  }

  llvm::Function* begin(llvm::Module& module, llvm::IRBuilder<>& b, const std::string& name, int width,
                        llvm::Type* result, const std::vector<llvm::Type*>& parameters) {
    auto* type = llvm::FunctionType::get(result, parameters, false);
    auto* f =
        llvm::Function::Create(type, llvm::Function::ExternalLinkage, fmt::format("math_{}_{}", name, width), module);
    f->addFnAttr("prefer-vector-width", "512");
    b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", f));
    return f;
  }

  template <class Body>
  void emit_loop(llvm::Module& module, const std::string& name, int width, bool floats, Body body) {
    llvm::IRBuilder<> b(module.getContext());
    llvm::Function* f = begin(module, b, name, width, b.getVoidTy(), {b.getPtrTy(), b.getPtrTy(), b.getInt64Ty()});
    auto* entry = b.GetInsertBlock();
    auto* head = llvm::BasicBlock::Create(module.getContext(), "head", f);
    auto* done = llvm::BasicBlock::Create(module.getContext(), "done", f);
    b.CreateBr(head);
    b.SetInsertPoint(head);
    auto* i = b.CreatePHI(b.getInt64Ty(), 2);
    i->addIncoming(b.getInt64(0), entry);
    llvm::Type* element = floats ? b.getFloatTy() : static_cast<llvm::Type*>(b.getInt32Ty());
    auto* vector = llvm::FixedVectorType::get(element, static_cast<unsigned>(width));
    llvm::Value* x = b.CreateAlignedLoad(vector, b.CreateGEP(b.getFloatTy(), f->getArg(0), i), llvm::Align(4));
    VectorMath math(b, width, target_);
    b.CreateAlignedStore(body(math, x), b.CreateGEP(b.getFloatTy(), f->getArg(1), i), llvm::Align(4));
    llvm::Value* next = b.CreateAdd(i, b.getInt64(static_cast<uint64_t>(width)));
    i->addIncoming(next, head);
    b.CreateCondBr(b.CreateICmpULT(next, f->getArg(2)), head, done);
    b.SetInsertPoint(done);
    b.CreateRetVoid();
  }

  void emit_width(llvm::Module& module, int width) {
    for (const Function& f : functions())
      emit_loop(module, f.name, width, true, [&](VectorMath& m, llvm::Value* x) { return (m.*f.emit)(x); });
    emit_loop(module, "normal", width, false, [](VectorMath& m, llvm::Value* x) { return m.normal_from_bits(x); });
    emit_loop(module, "uniform", width, false, [](VectorMath& m, llvm::Value* x) { return m.uniform_from_bits(x); });
    llvm::IRBuilder<> b(module.getContext());
    llvm::Function* f = begin(module, b, "philox", width, b.getVoidTy(),
                              {b.getInt64Ty(), b.getInt64Ty(), b.getInt64Ty(), b.getPtrTy()});
    VectorMath math(b, width, target_);
    b.CreateAlignedStore(math.philox_words(f->getArg(0), f->getArg(1), f->getArg(2)), f->getArg(3), llvm::Align(4));
    b.CreateRetVoid();
    f = begin(module, b, "philox_at", width, b.getVoidTy(),
              {b.getInt64Ty(), b.getPtrTy(), b.getInt64Ty(), b.getPtrTy()});
    auto* indices = llvm::FixedVectorType::get(b.getInt64Ty(), static_cast<unsigned>(width));
    llvm::Value* elements = b.CreateAlignedLoad(indices, f->getArg(1), llvm::Align(8));
    b.CreateAlignedStore(math.philox_words_at(f->getArg(0), elements, f->getArg(2)), f->getArg(3), llvm::Align(4));
    b.CreateRetVoid();
  }

  void emit_key(llvm::Module& module) {
    llvm::IRBuilder<> b(module.getContext());
    llvm::Function* f = begin(module, b, "key", 0, b.getInt64Ty(), {b.getPtrTy()});
    VectorMath math(b, 1, target_);
    b.CreateRet(math.stream_key(f->getArg(0), b.getInt64(key_stream)));
  }

  codegen::Target target_;
  std::unique_ptr<package::Jit> jit_;
};

// This machine's own code, and plain x86-64 code, which runs everywhere and has no fused multiply-add.
inline Generated& native() {
  static Generated code(codegen::host_target(), {1, 4, 8, 16});
  return code;
}

inline Generated& plain() {
  static Generated code(codegen::target_named("x86-64"), {1, 4});
  return code;
}

}  // namespace gmc::test
