using Lamina.Compute.Kernels.Elementwise;
using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels;

/// <summary>One operation on one row, for any worker.</summary>
internal interface IRowOperation
{
    void Run(int row);
}

internal sealed unsafe partial class CpuKernels<T>(WorkerTeam team) : CpuKernels(team)
    where T : struct, ILanes<T>
{
    /// <summary>Values below which a helper is not worth waking.</summary>
    private const int ChunkValues = 8192;

    public override void RmsNorm(Rows x, float* weight, Rows y, int rows, int length, float epsilon) =>
        EachRow(new RmsNormRow(x, weight, y, length, epsilon), rows, length);

    public override void LayerNorm(Rows x, float* weight, float* bias, Rows y, int rows, int length, float epsilon) =>
        EachRow(new LayerNormRow(x, weight, bias, y, length, epsilon), rows, length);

    public override void HeadNorm(Rows x, int rows, int heads, int headLength, float* weight, int weightStride, bool layerNorm, float epsilon) =>
        EachRow(new HeadNormRow(x, heads, headLength, weight, weightStride, layerNorm, epsilon), rows, heads * headLength);

    public override void RopeFactors(RopeAngles angles, int* positions, int rows, Rows cosines, Rows sines) =>
        EachRow(new RopeFactorsRow(angles, positions, cosines, sines), rows, angles.Dimensions * 32);

    public override void Rope(RopeAngles angles, Rows cosines, Rows sines, Rows x, int rows, int heads, int headStride) =>
        EachRow(new RopeRow(angles.Pairing, angles.Dimensions, cosines, sines, x, heads, headStride), rows, heads * angles.Dimensions);

    public override void Activate(Activation activation, Rows gate, Rows? up, Rows y, int rows, int length) =>
        EachRow(new ActivateRow(activation, gate, up ?? default, y, length), rows, 4 * length);

    public override void Add(Rows x, float scale, Rows y, int rows, int length) => EachRow(new AddRow(x, scale, y, length), rows, length);

    public override void AddBias(float* bias, Rows y, int rows, int length) => EachRow(new AddRow(new Rows(bias, 0), 1, y, length), rows, length);

    public override void Scale(Rows x, float scale, int rows, int length) => EachRow(new ScaleRow(x, scale, length), rows, length);

    public override void SoftCap(Rows x, float cap, int rows, int length) => EachRow(new SoftCapRow(x, cap, length), rows, 4 * length);

    public override void Clamp(Rows x, float limit, int rows, int length) => EachRow(new ClampRow(x, limit, length), rows, length);

    public override void Softmax(Rows x, int rows, int length) => EachRow(new SoftmaxRow(x, length, sigmoid: false), rows, 4 * length);

    public override void Sigmoid(Rows x, int rows, int length) => EachRow(new SoftmaxRow(x, length, sigmoid: true), rows, 4 * length);

    /// <param name="cost">Of one row, in values touched.</param>
    private void EachRow<TOperation>(TOperation operation, int rows, int cost)
        where TOperation : struct, IRowOperation
    {
        int perChunk = Math.Max(1, ChunkValues / Math.Max(1, cost));
        Team.Run(new RowJob<TOperation>(operation, rows, perChunk), (rows + perChunk - 1) / perChunk);
    }

    private readonly struct RowJob<TOperation>(TOperation operation, int rows, int perChunk) : IJob
        where TOperation : struct, IRowOperation
    {
        public void Execute(int chunk, int worker)
        {
            int end = Math.Min(rows, (chunk + 1) * perChunk);
            for (int row = chunk * perChunk; row < end; row++)
            {
                operation.Run(row);
            }
        }
    }

    private readonly struct RmsNormRow(Rows x, float* weight, Rows y, int length, float epsilon) : IRowOperation
    {
        public void Run(int row) => Elementwise.RmsNorm.Row<T>(x[row], weight, y[row], length, epsilon);
    }

    private readonly struct LayerNormRow(Rows x, float* weight, float* bias, Rows y, int length, float epsilon) : IRowOperation
    {
        public void Run(int row) => Elementwise.LayerNorm.Row<T>(x[row], weight, bias, y[row], length, epsilon);
    }

    private readonly struct HeadNormRow(Rows x, int heads, int headLength, float* weight, int weightStride, bool layerNorm, float epsilon) : IRowOperation
    {
        public void Run(int row)
        {
            for (int h = 0; h < heads; h++)
            {
                float* head = x[row] + (h * headLength), own = weight + ((long)h * weightStride);
                if (layerNorm)
                {
                    Elementwise.LayerNorm.Row<T>(head, own, null, head, headLength, epsilon);
                }
                else
                {
                    Elementwise.RmsNorm.Row<T>(head, own, head, headLength, epsilon);
                }
            }
        }
    }

    private readonly struct RopeFactorsRow(RopeAngles angles, int* positions, Rows cosines, Rows sines) : IRowOperation
    {
        public void Run(int row) => angles.Write(positions[row], cosines[row], sines[row]);
    }

    private readonly struct RopeRow(RopePairing pairing, int dimensions, Rows cosines, Rows sines, Rows x, int heads, int headStride) : IRowOperation
    {
        public void Run(int row)
        {
            for (int h = 0; h < heads; h++)
            {
                Elementwise.Rope.Head<T>(pairing, x[row] + (h * headStride), cosines[row], sines[row], dimensions);
            }
        }
    }

    private readonly struct ActivateRow(Activation activation, Rows gate, Rows up, Rows y, int length) : IRowOperation
    {
        public void Run(int row) => FeedForwardActivation.Row<T>(activation, gate[row], up.First is null ? null : up[row], y[row], length);
    }

    private readonly struct AddRow(Rows x, float scale, Rows y, int length) : IRowOperation
    {
        public void Run(int row) => RowArithmetic.Add<T>(x[row], scale, y[row], length);
    }

    private readonly struct ScaleRow(Rows x, float scale, int length) : IRowOperation
    {
        public void Run(int row) => RowArithmetic.Scale<T>(x[row], scale, length);
    }

    private readonly struct SoftCapRow(Rows x, float cap, int length) : IRowOperation
    {
        public void Run(int row) => RowArithmetic.SoftCap<T>(x[row], cap, length);
    }

    private readonly struct ClampRow(Rows x, float limit, int length) : IRowOperation
    {
        public void Run(int row) => RowArithmetic.Clamp(x[row], limit, length);
    }

    private readonly struct SoftmaxRow(Rows x, int length, bool sigmoid) : IRowOperation
    {
        public void Run(int row)
        {
            if (sigmoid)
            {
                Elementwise.Softmax.Sigmoid<T>(x[row], length);
            }
            else
            {
                Elementwise.Softmax.Row<T>(x[row], length);
            }
        }
    }
}
