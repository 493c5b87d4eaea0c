/* The C face of compiled models. Programs include the header that the compiler writes for a model; it repeats what it
 * needs of this one and adds functions with the model's own names and types.
 *
 * Needs the C library and POSIX threads, nothing else. Nothing here ends the process: functions return a status, 0 for
 * success, and leave a text in the caller's buffer or in gmc_error(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gmc_model;

/* Bytes and alignment (64) of the memory that a model needs while it is open: planned arena, state and scratch of
 * `threads` workers (0: as many as CPUs). 0 if this is no package. */
size_t gmc_arena_bytes(const void* package, int threads);

/* Opens a model. `weights`: a safetensors file in memory, read only during this call; NULL: all state is zero. `arena`:
 * memory of the caller, zero-filled; NULL: the model maps its own. `threads` 0: as many as CPUs. NULL on failure, with
 * the text in `error` (which may be NULL). */
struct gmc_model* gmc_open(const void* package, const void* functions, const void* weights, size_t weights_bytes,
                           void* arena, size_t arena_bytes, int threads, char* error, size_t error_size);
void gmc_close(struct gmc_model* model);

/* Runs entry number `entry` on dense row-major arrays in the order of the entry's inputs and outputs. The random draws
 * are a function of (seed, step). One call at a time for each model. */
int gmc_run(struct gmc_model* model, int entry, uint64_t seed, uint64_t step, const void* const* inputs,
            void* const* outputs);

/* What went wrong in the last call on this model; "" if nothing did. */
const char* gmc_error(const struct gmc_model* model);

/* Number of the entry of this name, or -1. */
int gmc_entry(const struct gmc_model* model, const char* name);

/* The values of a state (a parameter, say) that may be read and written between runs, or NULL. The last three may be
 * NULL. dtype: 0 f32, 1 f16, 2 bf16, 3 f64, 4 i32, 5 i64, 6 i8, 7 u8, 8 bool. */
void* gmc_state(struct gmc_model* model, const char* name, int* dtype, int* rank, const int64_t** extents);

/* Replaces the state by a safetensors file in memory, and writes all of it to a file. */
int gmc_load(struct gmc_model* model, const void* weights, size_t weights_bytes);
int gmc_save(struct gmc_model* model, const char* path);

#ifdef __cplusplus
}
#endif
