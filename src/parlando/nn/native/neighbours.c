/* A stack of residual blocks whose first layer sees three neighbouring frames, in one call.

   Such a stack consists of products of few rows; between them PyTorch would come back to the interpreter, which other
   threads want, and would turn everything round and back. */

#include "panels.h"

/* Norm, a product over three frames side by side, GELU, and a product whose result is added to the input. */
typedef struct {
    const float *scale, *shift;
    Matrix widen;
    const float *widen_bias;
    Matrix narrow;
    const float *narrow_bias;
} Block;

static inline void centre(const float *x, const Block *block, int64_t size, double epsilon, float *out)
{
    vec sums = {0}, squares = {0};
    for (int64_t i = 0; i < size; i += LANES)
        sums += *(const vec *)(x + i);
    const float mean = sum_of(sums) / (float)size;
    for (int64_t i = 0; i < size; i += LANES) {
        const vec off = *(const vec *)(x + i) - mean;
        squares += off * off;
    }
    const float scale = (float)(1.0 / sqrt((double)sum_of(squares) / (double)size + epsilon));
    for (int64_t i = 0; i < size; i += LANES)
        *(vec *)(out + i) = (*(const vec *)(x + i) - mean) * scale * *(const vec *)(block->scale + i)
                            + *(const vec *)(block->shift + i);
}

/* x times the share of a normal distribution below x (Abramowitz and Stegun 7.1.26, right to 1.5e-7). */
static inline vec gelu(vec x)
{
    const vec z = (vec)((ivec)x & 0x7fffffff) * 0.70710678f;
    const vec t = 1.0f / (1.0f + 0.3275911f * z);
    vec p = 1.061405429f * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const vec tail = 0.5f * p * t * exponential(-z * z);
    const ivec below = x < 0.0f;
    return x * (vec)(((ivec)tail & below) | ((ivec)(1.0f - tail) & ~below));
}

/* x: [frame][dim], in and out; room: (frames + 2) * dim, then BLOCK rows of inner and of the wider of inner and 3 dim. */
__attribute__((flatten)) void parlando_neighbours(
    const Block *blocks, int64_t count, int64_t dim, int64_t inner, double epsilon, int64_t frames, float *x,
    float *room)
{
    float *normed = room, *wide = normed + (frames + 2) * dim, *across = wide + BLOCK * inner;
    memset(normed, 0, dim * sizeof(float));
    memset(normed + (frames + 1) * dim, 0, dim * sizeof(float));
    for (const Block *block = blocks; block < blocks + count; block++) {
        for (int64_t frame = 0; frame < frames; frame++)
            centre(x + frame * dim, block, dim, epsilon, normed + (frame + 1) * dim);
        for (int64_t first = 0; first < frames; first += BLOCK) {
            const int64_t many = least(frames - first, BLOCK);
            float *out = x + first * dim;
            /* One row after the other begins one frame later: its three frames lie in one piece already. */
            product(normed + first * dim, many, dim, 3 * dim, &block->widen, wide, inner, 0, across);
            for (int64_t row = 0; row < many; row++) {
                for (int64_t i = 0; i < inner; i += LANES) {
                    vec *value = (vec *)(wide + row * inner + i);
                    *value = gelu(*value + *(const vec *)(block->widen_bias + i));
                }
                for (int64_t i = 0; i < dim; i += LANES)
                    *(vec *)(out + row * dim + i) += *(const vec *)(block->narrow_bias + i);
            }
            product(wide, many, inner, inner, &block->narrow, out, dim, 1, across);
        }
    }
}
