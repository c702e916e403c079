/* Matrix products over few rows, for what is compiled here: every weight read once, and nothing in between.

   Plain C with the vector extensions that GCC and Clang share; rows are independent, so a row's numbers do not depend
   on its neighbours. Weights come as panels of PANEL columns, each panel contiguous: [column / PANEL][input][PANEL],
   padded with zeros. What limits a small product is how fast weights are read, so those that half precision holds
   exactly are kept in it. */

#ifndef PARLANDO_PANELS
#define PARLANDO_PANELS

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* As many rows at a time as there are registers for: two sums a row, two weights, one input. BLOCK rows pass a panel
   while it is near, so that the weights are read once for all of them. */
#ifdef __AVX512F__
#define LANES 16
#define ROWS 8
#else
#define LANES 8
#define ROWS 6
#endif
#define PANEL (2 * LANES)
#define BLOCK (4 * ROWS)

/* Weights are asked for so long before they are used; a processor by itself does not look beyond a page of memory. */
#define AHEAD_BYTES 2048

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* A matrix as panels, of float or of half precision. */
typedef struct {
    const void *panels;
    int64_t is_half;
} Matrix;

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static inline vec spread(float value) { return value - (vec){0}; }

static inline vec load_float(const float *from) { return *(const vec *)from; }

static inline vec load_half(const uint16_t *from)
{
#ifdef __AVX512F__
    return (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#else
    return (vec)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
#endif
}

static inline float sum_of(vec v)
{
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++)
            v[i] += v[i + width];
    return v[0];
}

/* e^x to about one unit in the last place: x = n ln 2 + r, a polynomial for e^r, n put into the exponent. */
static inline vec exponential(vec x)
{
    const vec low = spread(-87.0f), high = spread(88.0f);
    x = (vec)((ivec)x & (x > low)) + (vec)((ivec)low & (x <= low));
    x = (vec)((ivec)x & (x < high)) + (vec)((ivec)high & (x >= high));
    const vec rounder = spread(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
    const vec n = (x * 1.44269504f + rounder) - rounder;
    const vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vec p = spread(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const ivec power = (__builtin_convertvector(n, ivec) + 127) << 23;
    return p * (vec)power;
}

/* Rows, which come as [input][row], times one panel; MANY is a constant, so that the sums stay in registers. */
#define PANEL_PRODUCT(MANY, KIND, TYPE)                                                              \
    static inline void product_##KIND##_##MANY(                                                      \
        const float *x, int64_t inputs, const TYPE *panel, float *out, int64_t outputs, int64_t width, int add) \
    {                                                                                                \
        vec left[MANY], right[MANY];                                                                 \
        for (int m = 0; m < MANY; m++)                                                               \
            left[m] = right[m] = (vec){0};                                                           \
        for (int64_t k = 0; k < inputs; k++) {                                                       \
            __builtin_prefetch((const char *)(panel + k * PANEL) + AHEAD_BYTES);                     \
            const vec a = load_##KIND(panel + k * PANEL), b = load_##KIND(panel + k * PANEL + LANES); \
            for (int m = 0; m < MANY; m++) {                                                         \
                left[m] += a * x[k * MANY + m];                                                      \
                right[m] += b * x[k * MANY + m];                                                     \
            }                                                                                        \
        }                                                                                            \
        for (int m = 0; m < MANY; m++) {                                                             \
            float *target = out + m * outputs;                                                       \
            if (width == PANEL) {                                                                    \
                vec *whole = (vec *)target;                                                          \
                whole[0] = left[m] + (add ? whole[0] : (vec){0});                                    \
                whole[1] = right[m] + (add ? whole[1] : (vec){0});                                   \
                continue;                                                                            \
            }                                                                                        \
            float sums[PANEL];                                                                       \
            *(vec *)sums = left[m];                                                                  \
            *(vec *)(sums + LANES) = right[m];                                                       \
            for (int64_t c = 0; c < width; c++)                                                      \
                target[c] = add ? target[c] + sums[c] : sums[c];                                     \
        }                                                                                            \
    }

#if ROWS > 6
#define EACH_COUNT(DO, KIND, TYPE)                                                                          \
    DO(1, KIND, TYPE) DO(2, KIND, TYPE) DO(3, KIND, TYPE) DO(4, KIND, TYPE) DO(5, KIND, TYPE) DO(6, KIND, TYPE) \
    DO(7, KIND, TYPE) DO(8, KIND, TYPE)
#else
#define EACH_COUNT(DO, KIND, TYPE)                                                                          \
    DO(1, KIND, TYPE) DO(2, KIND, TYPE) DO(3, KIND, TYPE) DO(4, KIND, TYPE) DO(5, KIND, TYPE) DO(6, KIND, TYPE)
#endif

EACH_COUNT(PANEL_PRODUCT, float, float)
EACH_COUNT(PANEL_PRODUCT, half, uint16_t)

#define CASE(MANY, KIND, TYPE)                                                                  \
    case MANY:                                                                                  \
        product_##KIND##_##MANY(x + row * inputs, inputs, panel, target, outputs, width, add);  \
        break;

#define PRODUCT(KIND, TYPE)                                                                               \
    static __attribute__((noinline)) void product_##KIND(                                                 \
        const float *x, int64_t rows, int64_t inputs, const TYPE *panels, float *out, int64_t outputs, int add) \
    {                                                                                                     \
        for (int64_t first = 0; first < outputs; first += PANEL) {                                        \
            const TYPE *panel = panels + first * inputs;                                                  \
            const int64_t width = outputs - first < PANEL ? outputs - first : PANEL;                      \
            for (int64_t row = 0; row < rows; row += ROWS) {                                              \
                float *target = out + row * outputs + first;                                              \
                switch (least(rows - row, ROWS)) { EACH_COUNT(CASE, KIND, TYPE) }                         \
            }                                                                                             \
        }                                                                                                 \
    }

PRODUCT(float, float)
PRODUCT(half, uint16_t)

/* out[rows][outputs] = (or +=) x[rows][inputs] times a matrix; at most BLOCK rows, each `stride` after the last. */
static inline void product(
    const float *x, int64_t rows, int64_t stride, int64_t inputs, const Matrix *matrix, float *out, int64_t outputs,
    int add, float *across)
{
    for (int64_t first = 0; first < rows; first += ROWS) {
        const int64_t many = least(rows - first, ROWS);
        for (int64_t row = 0; row < many; row++)
            for (int64_t k = 0; k < inputs; k++)
                across[first * inputs + k * many + row] = x[(first + row) * stride + k];
    }
    if (matrix->is_half)
        product_half(across, rows, inputs, matrix->panels, out, outputs, add);
    else
        product_float(across, rows, inputs, matrix->panels, out, outputs, add);
}

#endif
