/* max_pool2d and avg_pool2d: shapes as torch.nn.functional's. */
#include "op_rules.h"

static int64_t floor_div(int64_t x, int64_t y)
{
    return x >= 0 ? x / y : -((-x + y - 1) / y);
}

/* How many windows there are along one side. With ceil_mode the last one may hang over the end, but it must
 * start inside the input or the padding before it. */
static int64_t windows(int64_t size, int64_t span, int64_t stride, int64_t padding, bool ceil_mode)
{
    int64_t room = size + 2 * padding - span;
    int64_t count = floor_div(room + (ceil_mode ? stride - 1 : 0), stride) + 1;
    if (ceil_mode && (count - 1) * stride >= size + padding) count--;
    return count;
}

static bool check_pool(Graph *graph, Node *node)
{
    if (!node_has(node, A_STRIDE))
        node_set_pair(node, A_STRIDE, node_rows(node, A_KERNEL), node_columns(node, A_KERNEL));
    if (!op_want_picture(graph, node) || !op_want_at_least(graph, node, A_KERNEL, 1) ||
        !op_want_at_least(graph, node, A_STRIDE, 1) || !op_want_at_least(graph, node, A_PADDING, 0))
        return false;
    for (int axis = 0; axis < 2; axis++) {
        long long kernel = node_attr(node, A_KERNEL)->i[axis], padding = node_attr(node, A_PADDING)->i[axis];
        if (padding > kernel / 2)
            return shape_error(graph, node, "'padding' %lld is more than half of the kernel %lld", padding,
                               kernel);
    }
    return true;
}

static bool pool_shape(Graph *graph, Node *node, const int64_t dilation[2])
{
    Type in = node->in[0]->type;
    node->type = in;
    for (int axis = 0; axis < 2; axis++) {
        int64_t span = dilation[axis] * (node_attr(node, A_KERNEL)->i[axis] - 1) + 1;
        int64_t stride = node_attr(node, A_STRIDE)->i[axis], padding = node_attr(node, A_PADDING)->i[axis];
        node->type.dim[2 + axis] =
            windows(in.dim[2 + axis], span, stride, padding, node_bool(node, A_CEIL_MODE));
        if (node->type.dim[2 + axis] < 1) return op_no_place(graph, node, axis, dilation[axis]);
    }
    return true;
}

bool max_pool2d_shape(Graph *graph, Node *node)
{
    if (!check_pool(graph, node) || !op_want_at_least(graph, node, A_DILATION, 1)) return false;
    return pool_shape(graph, node, node_attr(node, A_DILATION)->i);
}

bool avg_pool2d_shape(Graph *graph, Node *node)
{
    return check_pool(graph, node) && pool_shape(graph, node, (const int64_t[]){1, 1});
}

/* As large as the pool's input; a second input is one of the pool's results. */
bool pool_grad_shape(Graph *graph, Node *node)
{
    if (!op_want_picture(graph, node) || !op_want_at_least(graph, node, A_SIZE, 1)) return false;
    if (node->n_in == 2 && !gradient_pair_shape(graph, node)) return false;
    node->type = node->in[0]->type;
    node->type.dim[2] = node_rows(node, A_SIZE);
    node->type.dim[3] = node_columns(node, A_SIZE);
    return true;
}
