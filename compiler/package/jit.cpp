#include "compiler/package/jit.h"

#include "runtime/base/error.h"

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>

namespace gmc::package {
namespace {

template <class T>
T checked(llvm::Expected<T> value, const char* what) {
  if (!value) fail("{}: {}", what, llvm::toString(value.takeError()));
  return std::move(*value);
}

}  // namespace

struct Jit::Impl {
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

Jit::Jit() : impl_(std::make_unique<Impl>()) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  // JITLink maps code read-write, then flips it to read-execute: no mapping is ever both.
  llvm::orc::LLJITBuilder builder;
  builder.setObjectLinkingLayerCreator([](llvm::orc::ExecutionSession& session, const llvm::Triple&) {
    return std::make_unique<llvm::orc::ObjectLinkingLayer>(session);
  });
  impl_->jit = checked(builder.create(), "cannot start the JIT");
}

Jit::~Jit() = default;
Jit::Jit(Jit&&) noexcept = default;
Jit& Jit::operator=(Jit&&) noexcept = default;

void Jit::add(const std::string& object, const std::string& name) {
  auto problem = impl_->jit->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object, name));
  if (problem) fail("cannot link object '{}': {}", name, llvm::toString(std::move(problem)));
}

void* Jit::lookup(const std::string& symbol) {
  return checked(impl_->jit->lookup(symbol), "generated code").toPtr<void*>();
}

}  // namespace gmc::package
