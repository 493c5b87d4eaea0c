#include "runtime/artifact/capi.h"

#include "runtime/execute/executor.h"
#include "runtime/execute/lookup.h"
#include "runtime/execute/weights.h"

#include <stdlib.h>
#include <string.h>

#include <new>

using namespace gmc::execute;

// Defined where the program is linked with a library of kernels.
extern "C" [[gnu::weak]] const Libraries* gmc_program_libraries();

struct gmc_model {
  Context* context;
  Message message;
};

namespace {

const Package* package_of(const void* package) { return static_cast<const Package*>(package); }

int status_of(gmc_model* model, Status status) {
  if (status == Status::ok) model->message.text[0] = 0;
  return static_cast<int>(status);
}

Context* open(const void* package, const void* functions, const void* weights, size_t weights_bytes,
              const Options& options, Message& message) {
  Context* context = Context::create(package_of(package), static_cast<const Kernel*>(functions), options, &message);
  if (!context || !weights) return context;
  if (load_state(*context, weights, weights_bytes, &message) == Status::ok) return context;
  Context::destroy(context);
  return nullptr;
}

}  // namespace

size_t gmc_arena_bytes(const void* package, int threads) {
  return validate(package_of(package), 0, nullptr) == Status::ok ? memory_bytes(package_of(package), threads) : 0;
}

gmc_model* gmc_open(const void* package, const void* functions, const void* weights, size_t weights_bytes, void* arena,
                    size_t arena_bytes, int threads, char* error, size_t error_size) {
  Options options;
  options.threads = threads;
  options.memory = arena;
  options.memory_size = arena_bytes;
  options.libraries = gmc_program_libraries ? gmc_program_libraries() : nullptr;
  Message message;
  if (auto* memory = malloc(sizeof(gmc_model))) {
    if (Context* context = open(package, functions, weights, weights_bytes, options, message))
      return new (memory) gmc_model{context, {}};
    free(memory);
  } else {
    report(&message, Status::memory, "out of memory for a model");
  }
  if (error && error_size) snprintf(error, error_size, "%s", message.text);
  return nullptr;
}

void gmc_close(gmc_model* model) {
  if (!model) return;
  Context::destroy(model->context);
  free(model);
}

int gmc_run(gmc_model* model, int entry, uint64_t seed, uint64_t step, const void* const* inputs,
            void* const* outputs) {
  if (!model) return static_cast<int>(Status::invalid);
  const auto index = entry < 0 ? UINT64_MAX : static_cast<uint64_t>(entry);
  return status_of(model, model->context->run(index, seed, step, inputs, outputs, &model->message));
}

const char* gmc_error(const gmc_model* model) { return model ? model->message.text : "no model given (null pointer)"; }

int gmc_entry(const gmc_model* model, const char* name) {
  return model && name ? static_cast<int>(find_entry(model->context->package(), name)) : -1;
}

void* gmc_state(gmc_model* model, const char* name, int* dtype, int* rank, const int64_t** extents) {
  const int64_t index = model && name ? find_state(model->context->package(), name) : -1;
  if (index < 0) return nullptr;
  const Tensor& t = state_at(model->context->package(), static_cast<uint64_t>(index));
  if (dtype) *dtype = static_cast<int>(t.dtype);
  if (rank) *rank = static_cast<int>(t.rank);
  if (extents) *extents = t.extents;
  return model->context->state(static_cast<uint64_t>(index));
}

int gmc_load(gmc_model* model, const void* weights, size_t weights_bytes) {
  if (!model) return static_cast<int>(Status::invalid);
  return status_of(model, load_state(*model->context, weights, weights_bytes, &model->message));
}

int gmc_save(gmc_model* model, const char* path) {
  if (!model) return static_cast<int>(Status::invalid);
  if (!path) return static_cast<int>(report(&model->message, Status::invalid, "no path given (null pointer)"));
  return status_of(model, save_state(*model->context, path, &model->message));
}
