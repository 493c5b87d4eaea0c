// Loops over arrays of any type: what generated.h does for f32 functions of one argument.
#pragma once

#include "tests/math/generated.h"

#include <functional>

namespace gmc::test {

enum class Element { f32, f64, i1, i8, i16, i32, i64 };

inline llvm::Type* type_of(llvm::IRBuilder<>& b, Element e) {
  switch (e) {
  case Element::f32:
    return b.getFloatTy();
  case Element::f64:
    return b.getDoubleTy();
  case Element::i1:
    return b.getInt1Ty();
  case Element::i8:
    return b.getInt8Ty();
  case Element::i16:
    return b.getInt16Ty();
  case Element::i32:
    return b.getInt32Ty();
  case Element::i64:
    return b.getInt64Ty();
  }
  return nullptr;
}

// x and y to a result, element by element.
struct Body {
  std::string name;
  Element in, out;
  std::function<llvm::Value*(VectorMath&, llvm::IRBuilder<>&, llvm::Value* x, llvm::Value* y)> emit;
};

using Map = void (*)(const void* x, const void* y, void* out, int64_t count);  // count is a multiple of the width

class Program {
public:
  Program(const codegen::Target& target, const std::vector<Body>& bodies, const std::vector<int>& widths) {
    llvm::LLVMContext context;
    const auto machine = codegen::make_target_machine(target);
    const auto module = codegen::make_module(context, "math", *machine);
    for (const Body& body : bodies)
      for (int width : widths) emit(*module, target, body, width);
    codegen::optimise(*module, *machine);
    object = codegen::emit_object(*module, *machine);
  }

  Map find(const std::string& name, int width) {
    if (!jit_) {
      jit_ = std::make_unique<package::Jit>();
      jit_->add(object, "math");
    }
    return reinterpret_cast<Map>(jit_->lookup(fmt::format("{}_{}", name, width)));
  }

  codegen::Object object;

private:
  static void emit(llvm::Module& module, const codegen::Target& target, const Body& body, int width) {
    llvm::IRBuilder<> b(module.getContext());
    auto* type =
        llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy(), b.getPtrTy(), b.getPtrTy(), b.getInt64Ty()}, false);
    auto* f =
        llvm::Function::Create(type, llvm::Function::ExternalLinkage, fmt::format("{}_{}", body.name, width), module);
    f->addFnAttr("prefer-vector-width", "512");
    auto* entry = llvm::BasicBlock::Create(module.getContext(), "entry", f);
    auto* head = llvm::BasicBlock::Create(module.getContext(), "head", f);
    auto* done = llvm::BasicBlock::Create(module.getContext(), "done", f);
    b.SetInsertPoint(entry);
    b.CreateBr(head);
    b.SetInsertPoint(head);
    auto* i = b.CreatePHI(b.getInt64Ty(), 2);
    i->addIncoming(b.getInt64(0), entry);
    llvm::Type* in = type_of(b, body.in);
    llvm::Type* out = type_of(b, body.out);
    auto* vector = llvm::FixedVectorType::get(in, static_cast<unsigned>(width));
    llvm::Value* x = b.CreateAlignedLoad(vector, b.CreateGEP(in, f->getArg(0), i), llvm::Align(1));
    llvm::Value* y = b.CreateAlignedLoad(vector, b.CreateGEP(in, f->getArg(1), i), llvm::Align(1));
    VectorMath math(b, width, target);
    b.CreateAlignedStore(body.emit(math, b, x, y), b.CreateGEP(out, f->getArg(2), i), llvm::Align(1));
    llvm::Value* next = b.CreateAdd(i, b.getInt64(static_cast<uint64_t>(width)));
    i->addIncoming(next, head);
    b.CreateCondBr(b.CreateICmpULT(next, f->getArg(3)), head, done);
    b.SetInsertPoint(done);
    b.CreateRetVoid();
  }

  std::unique_ptr<package::Jit> jit_;
};

// This machine's own code, 16 elements at a time, and plain x86-64 code, 4 at a time.
struct Programs {
  explicit Programs(const std::vector<Body>& bodies)
      : native(codegen::host_target(), bodies, {16, 1}), plain(codegen::target_named("x86-64"), bodies, {4}) {}

  // Runs f for each: its name, a way to find loops, and whether it has fused multiply-add.
  template <class F>
  void each(F f) {
    const bool fused = codegen::host_target().lanes != 4;
    f(fused ? "fused" : "native", [&](const std::string& name) { return native.find(name, 16); }, fused);
    f("one lane", [&](const std::string& name) { return native.find(name, 1); }, fused);
    f("apart", [&](const std::string& name) { return plain.find(name, 4); }, false);
  }

  Program native, plain;
};

inline bool long_tests() {
  const char* value = getenv("GMC_LONG_TESTS");
  return value && std::string(value) == "1";
}

}  // namespace gmc::test
