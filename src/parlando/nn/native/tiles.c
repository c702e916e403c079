/* Products of rows with large matrices on a processor's matrix units (AMX): every weight is read once for all rows.

   A tile has 16 rows of 64 bytes, 32 numbers of bfloat16 each. Matrices lie in memory as PyTorch keeps them, in
   bfloat16 or in fewer bits (`nn/few_bits.py`), and are widened into tiles a stripe of outputs at a time, into memory
   that stays near; whole numbers of a few bits are exact in bfloat16, and scales come after. Sums are of float32, in the
   order of the inputs, so that a row's numbers do not depend on how many rows there are. Only a processor that has these
   units comes here: `parlando_has_tiles` says so, and asks for them. */

#include "panels.h"

#define SIDE 16              /* rows of a tile, and numbers of float32 in one of its rows */
#define DEPTH 32             /* inputs that it holds, and those that share a scale in int4 */
#define TILE (SIDE * DEPTH)  /* numbers of bfloat16 in it */
#define STRIPE 64            /* outputs at a time at most, as many as int4 keeps together */
#define PAIR (2 * SIDE)      /* outputs, and rows, at a time of the other kinds: two tiles by two */
#define LINE 64              /* inputs that are widened at a time: a line of memory, in bytes */
#define RING (4 * DEPTH)     /* inputs whose widened tiles are kept, where no other rows need them again */

enum { BFLOAT16, INT8, INT4 };

const int64_t parlando_tile_side = SIDE, parlando_tile_inputs = DEPTH, parlando_stripe = STRIPE;

/* Weights and scales have as many outputs as the blocks of their kind, of which `outputs` are asked for. */
typedef struct {
    const void *weights;
    const uint16_t *scales;
    int64_t kind, inputs, outputs;
} Large;

/* out = to + rows * matrix, in bfloat16 or float32; row r of `to` begins at r * to_stride, and there may be none. */
typedef struct {
    const Large *matrix;
    const uint16_t *rows;
    const void *to;
    void *out;
    float *row_sums;        /* of int4: for each tile of rows, the sums of its 16 rows */
    uint16_t *tiles, *room; /* the rows as tiles; for each thread, the widened tiles of a stripe */
    int64_t many, to_stride, is_wide, threads;
} Product;

#if defined(__AVX512F__) && defined(__linux__) && __has_include(<amxbf16intrin.h>)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNITS __attribute__((target("amx-tile,amx-bf16,avx512bf16,avx512vbmi")))

#define PERMIT 0x1023 /* ARCH_REQ_XCOMP_PERM: since Linux 5.16 a process asks for the memory that tiles take */
#define TILE_DATA 18

/* The compiler does not know what memory tiles are loaded from and stored to. */
#define SETTLED __asm__ volatile("" ::: "memory")

/* PyTorch's own threads, which are awake; without its library of OpenMP, a product has one thread. */
extern void GOMP_parallel(void (*work)(void *), void *what, unsigned threads, unsigned flags) __attribute__((weak));
extern int omp_get_thread_num(void) __attribute__((weak));
extern int omp_get_num_threads(void) __attribute__((weak));

/* Which thread this is, of how many: there may be fewer than were asked for. */
typedef struct {
    int64_t number, of;
} Thread;

static Thread this_thread(const Product *product)
{
    return product->threads > 1 ? (Thread){omp_get_thread_num(), omp_get_num_threads()} : (Thread){0, 1};
}

int64_t parlando_has_tiles(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1) || !(c >> 1 & 1))
        return 0;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a >> 5 & 1))
        return 0;
    return syscall(SYS_arch_prctl, PERMIT, TILE_DATA) == 0;
}

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} Layout;

static inline __m512 as_floats(__m256i narrow) { return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16); }

/* 32 numbers as they are. */
static UNITS inline void copy_narrow(const char *from, uint16_t *to)
{
    _mm512_store_si512(to, _mm512_loadu_si512(from));
}

/* The sum of 32 numbers. */
static UNITS float sum_of_group(const uint16_t *from)
{
    const __m512i both = _mm512_loadu_si512(from);
    const __m512 even = (__m512)_mm512_slli_epi32(both, 16);
    const __m512 odd = (__m512)_mm512_and_si512(both, _mm512_set1_epi32(-65536));
    return _mm512_reduce_add_ps(_mm512_add_ps(even, odd));
}

/* Rows as tiles, 16 by 32 numbers each, zero where there is no row: [row / 16][input / 32][tile]. Where weights are the
   first factor of a tile product, rows are the second, which has two inputs of a row side by side. */
static UNITS void pack_rows(const Product *product, int64_t block)
{
    const int64_t inputs = product->matrix->inputs, is_second = product->matrix->kind != INT4;
    const int64_t many = least(SIDE, product->many - block * SIDE);
    const uint16_t *from = product->rows + block * SIDE * inputs;
    uint16_t *to = product->tiles + block * SIDE * inputs;
    float *row_sums = product->row_sums + block * SIDE * (inputs / DEPTH);
    for (int64_t k = 0; k < inputs; k += DEPTH, from += DEPTH, to += TILE, row_sums += SIDE) {
        if (many < SIDE)
            memset(to, 0, 2 * TILE);
        for (int64_t row = 0; row < many; row++)
            if (is_second) {
                for (int64_t pair = 0; pair < DEPTH / 2; pair++)
                    memcpy(to + 2 * (pair * SIDE + row), from + row * inputs + 2 * pair, 4);
            } else {
                copy_narrow((const char *)(from + row * inputs), to + row * DEPTH);
                row_sums[row] = sum_of_group(from + row * inputs);
            }
    }
}

/* Sixteen outputs of a row, from sums that are `apart` from one another. */
static UNITS void finish(const Product *product, int64_t row, int64_t output, const float *sums, int64_t apart)
{
    const Large *matrix = product->matrix;
    const int64_t width = least(SIDE, matrix->outputs - output), place = row * matrix->outputs + output;
    const __mmask16 these = (__mmask16)((1u << width) - 1);
    const __m512i order = _mm512_mullo_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32((int)apart));
    __m512 value = _mm512_i32gather_ps(order, sums, 4);
    if (matrix->kind == INT8)
        value = _mm512_mul_ps(value, as_floats(_mm256_maskz_loadu_epi16(these, matrix->scales + output)));
    const int64_t beside = row * product->to_stride + output;
    if (product->is_wide) {
        if (product->to)
            value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(these, (const float *)product->to + beside));
        _mm512_mask_storeu_ps((float *)product->out + place, these, value);
        return;
    }
    if (product->to)
        value = _mm512_add_ps(
            value, as_floats(_mm256_maskz_loadu_epi16(these, (const uint16_t *)product->to + beside)));
    _mm256_mask_storeu_epi16((uint16_t *)product->out + place, these, (__m256i)_mm512_cvtneps_pbh(value));
}

/* 32 whole numbers of a byte, which bfloat16 holds exactly. */
static UNITS inline void widen_bytes(const char *from, uint16_t *to)
{
    const __m512 low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from)));
    const __m512 high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(from + SIDE))));
    _mm512_store_si512(to, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

/* Up to 64 inputs of up to 32 outputs as tiles, a pair of tiles for each 32 inputs. What comes after these outputs is
   asked for meanwhile, line by line in the order of memory. */
#define WIDEN(KIND, SIZE, TAKE)                                                                                  \
    static UNITS void widen_##KIND(const Large *matrix, int64_t output, int64_t input, uint16_t *to)             \
    {                                                                                                            \
        const int64_t inputs = matrix->inputs, outputs = least(PAIR, matrix->outputs - output);                  \
        const int64_t deep = least(LINE, inputs - input);                                                        \
        const char *from = (const char *)matrix->weights + (output * inputs + input) * SIZE;                     \
        const char *next = (const char *)matrix->weights + ((output + PAIR) * inputs + input * PAIR) * SIZE;     \
        for (int64_t row = 0; row < outputs; row++, from += inputs * SIZE, next += LINE * SIZE, to += DEPTH) {   \
            for (int line = 0; line < SIZE; line++)                                                              \
                __builtin_prefetch(next + line * 64, 0, 2);                                                      \
            TAKE(from, to);                                                                                      \
            if (deep > DEPTH)                                                                                    \
                TAKE(from + DEPTH * SIZE, to + 2 * TILE);                                                        \
        }                                                                                                        \
    }

WIDEN(bfloat16, 2, copy_narrow)
WIDEN(int8, 1, widen_bytes)

/* A pair of tiles of outputs for up to 32 rows; tiles 0 to 3 are sums, 4 and 5 weights, 6 and 7 rows. */
static UNITS void multiply_pair(const Product *product, int64_t output, int64_t first, uint16_t *room)
{
    const Large *matrix = product->matrix;
    const int64_t inputs = matrix->inputs, mask = product->many > PAIR ? -1 : RING - 1;
    const int two = product->many - first > SIDE;
    const uint16_t *rows = product->tiles + first * inputs;
    float sums[2][2][SIDE * SIDE] __attribute__((aligned(64)));
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t input = 0; input < inputs; input += DEPTH, rows += TILE) {
        uint16_t *tiles = room + (input & mask) * PAIR;
        if (!first && input % LINE == 0)
            (matrix->kind == INT8 ? widen_int8 : widen_bfloat16)(matrix, output, input, tiles);
        SETTLED;
        _tile_loadd(4, tiles, 2 * DEPTH);
        _tile_loadd(5, tiles + TILE, 2 * DEPTH);
        _tile_loadd(6, rows, 2 * DEPTH);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(2, 5, 6);
        if (two) {
            _tile_loadd(7, rows + inputs * SIDE, 2 * DEPTH);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, sums[0][0], 4 * SIDE);
    _tile_stored(1, sums[0][1], 4 * SIDE);
    _tile_stored(2, sums[1][0], 4 * SIDE);
    _tile_stored(3, sums[1][1], 4 * SIDE);
    SETTLED;
    for (int side = 0; side < 2 && output + side * SIDE < matrix->outputs; side++)
        for (int64_t row = 0; row < least(PAIR, product->many - first); row++)
            finish(product, first + row, output + side * SIDE, sums[side][row / SIDE] + row % SIDE, SIDE);
}

/* 32 inputs of 64 outputs as four tiles, each number less the middle of the range. */
static UNITS void widen_int4(const uint8_t *from, uint16_t *to)
{
    /* Two inputs of an output side by side: bytes i and i + 32 of a line that has two inputs. */
    const __m512i low_bytes = _mm512_set_epi32(
        15 | 47 << 16, 14 | 46 << 16, 13 | 45 << 16, 12 | 44 << 16, 11 | 43 << 16, 10 | 42 << 16, 9 | 41 << 16,
        8 | 40 << 16, 7 | 39 << 16, 6 | 38 << 16, 5 | 37 << 16, 4 | 36 << 16, 3 | 35 << 16, 2 | 34 << 16, 1 | 33 << 16,
        0 | 32 << 16);
    const __m512i high_bytes = _mm512_add_epi32(low_bytes, _mm512_set1_epi32(16 | 16 << 16));
    /* -8 to 7 as bfloat16, twice, since an index has five bits. */
    const __m512i numbers = _mm512_set_epi16(
        0x40E0, 0x40C0, 0x40A0, 0x4080, 0x4040, 0x4000, 0x3F80, 0x0000, (short)0xBF80, (short)0xC000, (short)0xC040,
        (short)0xC080, (short)0xC0A0, (short)0xC0C0, (short)0xC0E0, (short)0xC100, 0x40E0, 0x40C0, 0x40A0, 0x4080, 0x4040,
        0x4000, 0x3F80, 0x0000, (short)0xBF80, (short)0xC000, (short)0xC040, (short)0xC080, (short)0xC0A0, (short)0xC0C0,
        (short)0xC0E0, (short)0xC100);
    const __mmask64 alternate = 0x5555555555555555;
    for (int64_t k = 0; k < DEPTH; k += 2, from += STRIPE, to += PAIR) {
        __builtin_prefetch(from + AHEAD_BYTES, 0, 2);
        const __m512i line = _mm512_loadu_si512(from);
        const __m512i first = _mm512_maskz_permutexvar_epi8(alternate, low_bytes, line);
        const __m512i second = _mm512_maskz_permutexvar_epi8(alternate, high_bytes, line);
        _mm512_store_si512(to, _mm512_permutexvar_epi16(first, numbers));
        _mm512_store_si512(to + TILE, _mm512_permutexvar_epi16(second, numbers));
        _mm512_store_si512(to + 2 * TILE, _mm512_permutexvar_epi16(_mm512_srli_epi16(first, 4), numbers));
        _mm512_store_si512(to + 3 * TILE, _mm512_permutexvar_epi16(_mm512_srli_epi16(second, 4), numbers));
    }
}

/* Sixteen outputs of some rows so far, and what a group of inputs adds: its sums by its step, and its rows' own sums by
   the middle of its range. */
static UNITS inline void add_group(
    float *sums, const float *parts, const float *row_sums, const uint16_t *scales, int64_t many)
{
    const __m512i both = _mm512_loadu_si512(scales);
    const __m512 step = (__m512)_mm512_slli_epi32(both, 16);
    const __m512 middle = (__m512)_mm512_and_si512(both, _mm512_set1_epi32(-65536));
    for (int64_t row = 0; row < many; row++) {
        const __m512 beside = _mm512_fmadd_ps(
            _mm512_set1_ps(row_sums[row]), middle, _mm512_load_ps(sums + row * SIDE));
        _mm512_store_ps(sums + row * SIDE, _mm512_fmadd_ps(_mm512_load_ps(parts + row * SIDE), step, beside));
    }
}

/* A block of 64 outputs of int4 for up to 16 rows; tiles 0 to 3 are a group's sums, 4 and 5 weights, 6 rows. */
static UNITS void multiply_block(const Product *product, int64_t output, int64_t first, uint16_t *room)
{
    const Large *matrix = product->matrix;
    const int64_t inputs = matrix->inputs, many = least(SIDE, product->many - first);
    const int64_t padded = (matrix->outputs + STRIPE - 1) / STRIPE * STRIPE;
    const int64_t mask = product->many > SIDE ? -1 : RING - 1;
    const uint16_t *rows = product->tiles + first * inputs;
    const float *row_sums = product->row_sums + first * (inputs / DEPTH);
    float sums[4][SIDE * SIDE] __attribute__((aligned(64))) = {0}, parts[4][SIDE * SIDE] __attribute__((aligned(64)));
    for (int64_t input = 0; input < inputs; input += DEPTH, rows += TILE, row_sums += SIDE) {
        uint16_t *tiles = room + (input & mask) * STRIPE;
        if (!first)
            widen_int4((const uint8_t *)matrix->weights + (output * inputs + input * STRIPE) / 2, tiles);
        SETTLED;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        _tile_loadd(6, rows, 2 * DEPTH);
        _tile_loadd(4, tiles, 2 * DEPTH);
        _tile_dpbf16ps(0, 6, 4);
        _tile_loadd(5, tiles + TILE, 2 * DEPTH);
        _tile_dpbf16ps(1, 6, 5);
        _tile_loadd(4, tiles + 2 * TILE, 2 * DEPTH);
        _tile_dpbf16ps(2, 6, 4);
        _tile_loadd(5, tiles + 3 * TILE, 2 * DEPTH);
        _tile_dpbf16ps(3, 6, 5);
        _tile_stored(0, parts[0], 4 * SIDE);
        _tile_stored(1, parts[1], 4 * SIDE);
        _tile_stored(2, parts[2], 4 * SIDE);
        _tile_stored(3, parts[3], 4 * SIDE);
        SETTLED;
        const uint16_t *scales = matrix->scales + 2 * (input / DEPTH * padded + output);
        for (int side = 0; side < 4; side++) {
            __builtin_prefetch(scales + 2 * (STRIPE + side * SIDE), 0, 2);
            add_group(sums[side], parts[side], row_sums, scales + 2 * side * SIDE, many);
        }
    }
    for (int side = 0; side < 4 && output + side * SIDE < matrix->outputs; side++)
        for (int64_t row = 0; row < many; row++)
            finish(product, first + row, output + side * SIDE, sums[side] + row * SIDE, 1);
}

/* A thread's share of the outputs. What the processor's tiles were set up for before is so afterwards. */
static UNITS void work(void *what)
{
    const Product *product = what;
    const Large *matrix = product->matrix;
    const Thread thread = this_thread(product);
    const int64_t wide = matrix->kind == INT4 ? STRIPE : PAIR, tall = matrix->kind == INT4 ? SIDE : PAIR;
    const int64_t stripes = (matrix->outputs + wide - 1) / wide;
    uint16_t *room = product->room + thread.number * STRIPE * matrix->inputs;
    /* A tile product takes as long as its first factor has rows, which are ours in int4 and outputs in the others. */
    const uint8_t rows = (uint8_t)(matrix->kind == INT4 ? least(SIDE, product->many) : SIDE);
    const Layout layout = {
        .palette = 1,
        .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {rows, rows, rows, rows, SIDE, SIDE, rows, SIDE},
    };
    Layout before;
    _tile_storeconfig(&before);
    SETTLED;
    _tile_loadconfig(&layout);
    const int64_t last = stripes * (thread.number + 1) / thread.of;
    for (int64_t stripe = stripes * thread.number / thread.of; stripe < last; stripe++)
        for (int64_t first = 0; first < product->many; first += tall)
            if (matrix->kind == INT4)
                multiply_block(product, stripe * wide, first, room);
            else
                multiply_pair(product, stripe * wide, first, room);
    if (before.palette)
        _tile_loadconfig(&before);
    else
        _tile_release();
}

static void pack_share(void *what)
{
    const Product *product = what;
    const Thread thread = this_thread(product);
    for (int64_t block = thread.number; block * SIDE < product->many; block += thread.of)
        pack_rows(product, block);
}

static void share(void (*what)(void *), Product *product)
{
    if (product->threads > 1)
        GOMP_parallel(what, product, (unsigned)product->threads, 0);
    else
        what(product);
}

void parlando_tiles(Product *product)
{
    if (!GOMP_parallel || !omp_get_thread_num || !omp_get_num_threads)
        product->threads = 1;
    if (product->many > SIDE)
        share(pack_share, product);
    else
        pack_rows(product, 0);
    share(work, product);
}

#else

int64_t parlando_has_tiles(void) { return 0; }

void parlando_tiles(Product *product) { (void)product; }

#endif
