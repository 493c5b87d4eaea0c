#include "compiler/codegen/target.h"

#include "compiler/codegen/llvm_door.h"
#include "runtime/base/error.h"
#include "runtime/execute/package.h"

#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/PassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/SubtargetFeature.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/Mem2Reg.h>

#include <unistd.h>

#include <mutex>

namespace gmc::codegen {
namespace {

// What takes long in LLVM's back end and gains nothing here: the strength reduction of loops (a third of the time of
// code generation; what moves in hot loops is emitted as pointers that move) and scheduling after register allocation
// (for cores that do not reorder). And what short loops gain from: beginning at a multiple of 32 bytes. There is no
// other way to say so than the options of LLVM, which are the process's.
void set_options() {
  constexpr std::pair<const char*, const char*> options[] = {
      {"disable-lsr", "true"}, {"disable-post-ra", "true"}, {"x86-experimental-pref-innermost-loop-alignment", "5"}};
  for (const auto& [name, value] : options) {
    const auto option = llvm::cl::getRegisteredOptions().find(name);
    if (option != llvm::cl::getRegisteredOptions().end()) option->second->addOccurrence(1, name, value);
  }
}

void initialise_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
    set_options();
  });
}

// The number of vector lanes and registers that a CPU with these features offers.
void size_vectors(Target& t, bool avx512, bool avx) {
  t.lanes = avx512 ? 16 : avx ? 8 : 4;
  t.registers = avx512 ? 32 : 16;
}

int64_t cache_size(int name, int64_t otherwise) {
  const long bytes = sysconf(name);
  return bytes > 0 ? bytes : otherwise;
}

template <class Emit>
std::string emit(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType type, Emit finish) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, out, nullptr, type))
    fail("target '{}' cannot emit this kind of file", machine.getTargetTriple().str());
  passes.run(module);
  return finish(bytes);
}

}  // namespace

Target host_target() {
  initialise_llvm();
  Target t;
  t.name = "native";
  t.triple = llvm::sys::getProcessTriple();
  t.cpu = llvm::sys::getHostCPUName().str();
  const auto flags = llvm::sys::getHostCPUFeatures();
  llvm::SubtargetFeatures features;
  for (const auto& flag : flags) features.AddFeature(flag.first(), flag.second);
  t.features = features.getString();
  size_vectors(t, flags.lookup("avx512f") && flags.lookup("avx512dq"), flags.lookup("avx2") && flags.lookup("fma"));
  t.l1_bytes = cache_size(_SC_LEVEL1_DCACHE_SIZE, t.l1_bytes);
  t.l2_bytes = cache_size(_SC_LEVEL2_CACHE_SIZE, t.l2_bytes);
  t.isa = static_cast<uint32_t>(t.lanes == 16  ? execute::Isa::x86_64_v4
                                : t.lanes == 8 ? execute::Isa::x86_64_v3
                                               : execute::Isa::x86_64);
  return t;
}

const std::vector<std::string>& target_names() {
  static const std::vector<std::string> names{"native", "x86-64-v4", "x86-64-v3", "x86-64"};
  return names;
}

Target target_named(std::string_view name) {
  if (name == "native") return host_target();
  Target t = host_target();
  t.name = t.cpu = name;
  t.features.clear();
  t.l1_bytes = 32 << 10;
  t.l2_bytes = 512 << 10;
  if (name == "x86-64-v4") {
    size_vectors(t, true, true);
    t.isa = static_cast<uint32_t>(execute::Isa::x86_64_v4);
  } else if (name == "x86-64-v3") {
    size_vectors(t, false, true);
    t.isa = static_cast<uint32_t>(execute::Isa::x86_64_v3);
  } else if (name == "x86-64") {
    size_vectors(t, false, false);
    t.isa = static_cast<uint32_t>(execute::Isa::x86_64);
  } else {
    fail_usage("unknown target '{}': expected one of {}", name, fmt::join(target_names(), ", "));
  }
  return t;
}

std::unique_ptr<llvm::TargetMachine> make_target_machine(const Target& t) {
  initialise_llvm();
  std::string problem;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(t.triple, problem);
  if (!target) fail("no code generator for '{}': {}", t.triple, problem);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      t.triple, t.cpu, t.features, options, llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Default));
  if (!machine) fail("no target machine for '{}' ({})", t.triple, t.cpu);
  return machine;
}

std::unique_ptr<llvm::Module> make_module(llvm::LLVMContext& context, const std::string& name,
                                          llvm::TargetMachine& machine) {
  auto module = std::make_unique<llvm::Module>(name, context);
  module->setTargetTriple(machine.getTargetTriple().str());
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  return module;
}

void optimise(llvm::Module& module, llvm::TargetMachine& machine) {
  std::string problem;
  llvm::raw_string_ostream out(problem);
  if (llvm::verifyModule(module, &out))
    fail("generated code of '{}' is malformed: {}", module.getName().str(), out.str());
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::PromotePass());
  passes.addPass(llvm::EarlyCSEPass(true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function& f : module)
    if (!f.isDeclaration()) passes.run(f, functions);
}

Object emit_object(llvm::Module& module, llvm::TargetMachine& machine) {
  return emit(module, machine, llvm::CodeGenFileType::ObjectFile,
              [](const auto& bytes) { return Object(bytes.data(), bytes.size()); });
}

std::string emit_assembly(llvm::Module& module, llvm::TargetMachine& machine) {
  return emit(module, machine, llvm::CodeGenFileType::AssemblyFile,
              [](const auto& bytes) { return std::string(bytes.data(), bytes.size()); });
}

std::string print_module(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream out(text);
  module.print(out, nullptr);
  return out.str();
}

}  // namespace gmc::codegen
