/* Optimisers' kernels: a walk over the parameter's elements that reads the gradient, wherever and however it
 * is made, and writes the parameter and its states in place. Formulas as in PyTorch's torch.optim, whose
 * order of operations is kept. */
#include "lower.h"
#include "op_rules.h"
#include "program.h"

typedef struct Stepper {
    Lowering *l;
    const Node *node;
    /* Of this step: learning rate with the group's factor, Adam's corrections, SGD's share of a new gradient.
     */
    Expr *rate, *bias1, *root2, *share;
    int param, state[2]; /* buffers */
} Stepper;

static Expr *hyper(Lowering *l, const Node *node, ProgramHyper which)
{
    const Place *place = layout_place(l->layout, node->in[2]);
    int buffer = lower_storage(l, place->storage, BUFFER_IN);
    return expr_load(l->b, buffer, expr_int(l->b, place->offset + which));
}

static Expr *mul(LoopBuilder *b, Expr *x, double factor)
{
    return expr_op2(b, EXPR_MUL, x, expr_float(b, factor));
}

/* The gradient with the weight's share of decay. */
static Expr *with_decay(const Stepper *s, Expr *gradient, Expr *value)
{
    LoopBuilder *b = s->l->b;
    double decay = node_float(s->node, A_WEIGHT_DECAY);
    return decay == 0 ? gradient : expr_op3(b, EXPR_FMA, value, expr_float(b, decay), gradient);
}

/* v = momentum * v + share * g; p -= rate * v (Nesterov: rate * (g + momentum * v)); see HYPER_BIAS1. */
static Expr *sgd(const Stepper *s, Expr *index, Expr *value, Expr *gradient)
{
    LoopBuilder *b = s->l->b;
    double momentum = node_float(s->node, A_MOMENTUM);
    Expr *step = loop_let(b, "g", with_decay(s, gradient, value));
    if (s->node->n_in == 4) {
        Expr *old = expr_load(b, s->state[0], index);
        Expr *next = expr_op2(b, EXPR_ADD, mul(b, old, momentum), expr_op2(b, EXPR_MUL, step, s->share));
        next = loop_let(b, "v", next);
        loop_store(b, s->state[0], index, next);
        step = node_bool(s->node, A_NESTEROV) ? expr_op2(b, EXPR_ADD, step, mul(b, next, momentum)) : next;
    }
    return expr_op2(b, EXPR_SUB, value, expr_op2(b, EXPR_MUL, s->rate, step));
}

/* m = m + (1 - beta1) * (g - m); v = beta2 * v + (1 - beta2) * g^2;
 * p -= rate / bias1 * m / (sqrt(v) / sqrt(bias2) + eps) */
static Expr *adam(const Stepper *s, Expr *index, Expr *value, Expr *gradient)
{
    LoopBuilder *b = s->l->b;
    double beta1 = node_float(s->node, A_BETA1), beta2 = node_float(s->node, A_BETA2);
    double decay = node_float(s->node, A_WEIGHT_DECAY);
    bool decoupled = node_bool(s->node, A_DECOUPLED) && decay != 0;
    if (!decoupled) gradient = with_decay(s, gradient, value);
    Expr *g = loop_let(b, "g", gradient);
    Expr *old = expr_load(b, s->state[0], index);
    Expr *m = expr_op3(b, EXPR_FMA, expr_op2(b, EXPR_SUB, g, old), expr_float(b, 1 - beta1), old);
    m = loop_let(b, "m", m);
    Expr *square = mul(b, expr_op2(b, EXPR_MUL, g, g), 1 - beta2);
    Expr *v = expr_op3(b, EXPR_FMA, expr_load(b, s->state[1], index), expr_float(b, beta2), square);
    v = loop_let(b, "v", v);
    loop_store(b, s->state[0], index, m);
    loop_store(b, s->state[1], index, v);
    Expr *root = expr_op2(b, EXPR_DIV, expr_op1(b, EXPR_SQRT, v), s->root2);
    Expr *below = expr_op2(b, EXPR_ADD, root, expr_float(b, node_float(s->node, A_EPS)));
    Expr *change = expr_op2(b, EXPR_MUL, expr_op1(b, EXPR_NEG, s->bias1), expr_op2(b, EXPR_DIV, m, below));
    if (decoupled) change = expr_op3(b, EXPR_FMA, mul(b, s->rate, -decay), value, change);
    return expr_op2(b, EXPR_ADD, value, change); /* the parameter is rounded once */
}

/* Opens the loops over the parameter; what is the same for all elements is computed once for each unit. */
static Coord open_elements(Stepper *s, const Place *p)
{
    Lowering *l = s->l;
    LoopBuilder *b = l->b;
    View v = p->view;
    bool blocked = p->block > 1,
         vector = !blocked && v.h * v.w == 1; /* in a plain vector lanes are channels */
    Coord at = {.block = p->block};
    at.n = lower_dimension(l, LOOP_PARALLEL, "n", v.n);
    bool adaptive = s->node->op == OP_ADAM;
    s->rate = loop_let(b, "rate", mul(b, hyper(l, s->node, HYPER_LR), node_float(s->node, A_LR_SCALE)));
    if (adaptive) {
        s->bias1 = loop_let(b, "step", expr_op2(b, EXPR_DIV, s->rate, hyper(l, s->node, HYPER_BIAS1)));
        s->root2 = loop_let(b, "root", expr_op1(b, EXPR_SQRT, hyper(l, s->node, HYPER_BIAS2)));
    }
    if (!adaptive && s->node->n_in == 4) s->share = loop_let(b, "share", hyper(l, s->node, HYPER_BIAS1));
    at.cb = lower_dimension(l, vector ? LOOP_VECTOR : LOOP_SERIAL, "c", blocks_of(v.c, p->block));
    at.y = lower_dimension(l, !blocked && v.w == 1 && v.h > 1 ? LOOP_VECTOR : LOOP_SERIAL, "y", v.h);
    at.x = lower_dimension(l, blocked ? LOOP_SERIAL : LOOP_VECTOR, "x", v.w);
    at.lane = blocked ? loop_open_n(b, LOOP_VECTOR, "l", p->block) : expr_int(b, 0);
    return at;
}

void lower_optimizer_kernel(Lowering *l, const Node *node)
{
    LoopBuilder *b = l->b;
    Stepper s = {.l = l, .node = node};
    const Place *place = layout_place(l->layout, node);
    s.param = lower_storage(l, place->storage, BUFFER_OUT);
    for (int i = 3; i < node->n_in; i++)
        s.state[i - 3] = lower_storage(l, layout_place(l->layout, node->in[i])->storage, BUFFER_OUT);
    Coord at = open_elements(&s, place);
    Expr *index = place_index(l, place, &at);
    Expr *value = loop_let(b, "p", expr_load(b, s.param, index));
    Expr *gradient = lower_value(l, node->in[1], &at);
    Expr *next = (node->op == OP_ADAM ? adam : sgd)(&s, index, value, gradient);
    loop_store(b, s.param, index, next);
    while (b->n_open) loop_close(b, NULL);
}
