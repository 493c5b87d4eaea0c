// Nanoseconds an element of the vector mathematics, 4096 elements in the first cache, beside the C library's scalars.
#include "compiler/codegen/vector_math.h"
#include "compiler/package/jit.h"

#include <fmt/format.h>
#include <math.h>
#include <time.h>

#include <algorithm>
#include <vector>

namespace {

using gmc::codegen::VectorMath;
using Loop = void (*)(const void* in, void* out, int64_t count);

struct Case {
  const char* name;
  llvm::Value* (VectorMath::*emit)(llvm::Value*);
  float (*scalar)(float);  // the C library's, nullptr: none
  float low, high;         // inputs
};

const Case cases[] = {
    {"exp", &VectorMath::exp, expf, -20, 20},
    {"expm1", &VectorMath::expm1, expm1f, -5, 5},
    {"log", &VectorMath::log, logf, 0, 100},
    {"log1p", &VectorMath::log1p, log1pf, 0, 100},
    {"tanh", &VectorMath::tanh, tanhf, -5, 5},
    {"sqrt", &VectorMath::sqrt, sqrtf, 0, 100},
    {"rsqrt", &VectorMath::rsqrt, [](float x) { return 1 / sqrtf(x); }, 0, 100},
    {"erf", &VectorMath::erf, erff, -4, 4},
    {"sin", &VectorMath::sin, sinf, -100, 100},
    {"cos", &VectorMath::cos, cosf, -100, 100},
    {"sigmoid", &VectorMath::sigmoid, [](float x) { return 1 / (1 + expf(-x)); }, -10, 10},
    {"softplus", &VectorMath::softplus, [](float x) { return fmaxf(x, 0) + log1pf(expf(-fabsf(x))); }, -10, 10},
    {"silu", &VectorMath::silu, [](float x) { return x / (1 + expf(-x)); }, -10, 10},
    {"gelu", &VectorMath::gelu, [](float x) { return 0.5f * x * (1 + erff(x * 0.70710678f)); }, -5, 5},
    {"gelu_tanh", &VectorMath::gelu_tanh,
     [](float x) { return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x))); }, -5, 5},
};

constexpr int64_t count = 4096;

double seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

template <class F>
double nanoseconds(F once) {
  double best = 1e9;
  for (int trial = 0; trial < 200; ++trial) {
    const double start = seconds();
    for (int i = 0; i < 8; ++i) once();
    best = std::min(best, (seconds() - start) / 8);
  }
  return best / static_cast<double>(count) * 1e9;
}

// void name(in, out, count): out[i ..] = body(in + i) in steps of the target's lanes.
template <class Body>
void emit(llvm::Module& module, const gmc::codegen::Target& target, const std::string& name, Body body) {
  llvm::IRBuilder<> b(module.getContext());
  llvm::Type* pointer = b.getPtrTy();
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {pointer, pointer, b.getInt64Ty()}, false);
  auto* f = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module);
  f->addFnAttr("prefer-vector-width", "512");
  f->addParamAttr(0, llvm::Attribute::NoAlias);
  f->addParamAttr(1, llvm::Attribute::NoAlias);
  auto* entry = llvm::BasicBlock::Create(module.getContext(), "entry", f);
  auto* head = llvm::BasicBlock::Create(module.getContext(), "head", f);
  auto* done = llvm::BasicBlock::Create(module.getContext(), "done", f);
  b.SetInsertPoint(entry);
  b.CreateBr(head);
  b.SetInsertPoint(head);
  auto* i = b.CreatePHI(b.getInt64Ty(), 2);
  i->addIncoming(b.getInt64(0), entry);
  VectorMath math(b, target.lanes, target);
  llvm::Value* y = body(b, math, f->getArg(0), i);
  b.CreateAlignedStore(y, b.CreateInBoundsGEP(b.getFloatTy(), f->getArg(1), i), llvm::Align(4));
  llvm::Value* next = b.CreateAdd(i, b.getInt64(static_cast<uint64_t>(target.lanes)));
  i->addIncoming(next, head);
  b.CreateCondBr(b.CreateICmpULT(next, f->getArg(2)), head, done);
  b.SetInsertPoint(done);
  b.CreateRetVoid();
}

}  // namespace

int main(int argc, char** argv) {
  const gmc::codegen::Target target = gmc::codegen::target_named(argc > 1 ? argv[1] : "native");
  llvm::LLVMContext context;
  const auto machine = gmc::codegen::make_target_machine(target);
  const auto module = gmc::codegen::make_module(context, "bench", *machine);
  for (const Case& c : cases)
    emit(*module, target, c.name, [&](auto& b, VectorMath& math, llvm::Value* in, llvm::Value* i) {
      auto* vector = llvm::FixedVectorType::get(b.getFloatTy(), static_cast<unsigned>(target.lanes));
      llvm::Value* address = b.CreateInBoundsGEP(b.getFloatTy(), in, i);
      return (math.*c.emit)(b.CreateAlignedLoad(vector, address, llvm::Align(4)));
    });
  auto words = [](auto& b, VectorMath& math, llvm::Value* in, llvm::Value* i) {
    return math.philox_words(b.CreatePtrToInt(in, b.getInt64Ty()), i);
  };
  emit(*module, target, "philox", words);
  emit(*module, target, "uniform", [&](auto& b, VectorMath& math, llvm::Value* in, llvm::Value* i) {
    return math.uniform_from_bits(words(b, math, in, i));
  });
  emit(*module, target, "normal", [&](auto& b, VectorMath& math, llvm::Value* in, llvm::Value* i) {
    return math.normal_from_bits(words(b, math, in, i));
  });
  gmc::codegen::optimise(*module, *machine);
  gmc::package::Jit jit;
  jit.add(gmc::codegen::emit_object(*module, *machine), "bench");

  std::vector<float> in(count), out(count);
  fmt::print("{} ({} lanes), ns an element\n{:<10} {:>7} {:>7}\n", target.name, target.lanes, "", "vector", "scalar");
  for (const Case& c : cases) {
    for (int64_t i = 0; i < count; ++i)
      in[static_cast<size_t>(i)] =
          c.low + (c.high - c.low) * (static_cast<float>(i * 2654435761 % count) + 0.5f) / count;
    const auto loop = reinterpret_cast<Loop>(jit.lookup(c.name));
    const double vector = nanoseconds([&] { loop(in.data(), out.data(), count); });
    const double scalar = nanoseconds([&] { std::transform(in.begin(), in.end(), out.begin(), c.scalar); });
    fmt::print("{:<10} {:7.3f} {:7.3f}\n", c.name, vector, scalar);
  }
  for (const char* name : {"philox", "uniform", "normal"}) {
    const auto loop = reinterpret_cast<Loop>(jit.lookup(name));
    fmt::print("{:<10} {:7.3f}\n", name, nanoseconds([&] { loop(in.data(), out.data(), count); }));
  }
}
