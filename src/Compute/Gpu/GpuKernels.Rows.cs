using System.Runtime.InteropServices;
using ILGPU;
using Lamina.Compute.Gpu.Code;
using Lamina.Compute.Gpu.Memory;
using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Gpu;

internal sealed unsafe partial class GpuKernels<TTeam, TRow>
{
    /// <summary>Frequencies of each kind of rotation, [pairs] doubles.</summary>
    private readonly Dictionary<RopeAngles, GpuBuffer> _frequencies = new(ReferenceEqualityComparer.Instance);

    public void RmsNorm(Rows x, float* weight, Rows y, int rows, int length, float epsilon) =>
        Norm(x, weight, null, y, rows, 1, length, 0, aroundMean: false, epsilon);

    public void LayerNorm(Rows x, float* weight, float* bias, Rows y, int rows, int length, float epsilon) =>
        Norm(x, weight, bias, y, rows, 1, length, 0, aroundMean: true, epsilon);

    public void HeadNorm(Rows x, int rows, int heads, int headLength, float* weight, int weightStride, bool layerNorm, float epsilon) =>
        Norm(x, weight, null, x, rows, heads, headLength, weightStride, layerNorm, epsilon);

    public void RopeFactors(RopeAngles angles, ReadOnlySpan<int> positions, Rows cosines, Rows sines)
    {
        if (!_frequencies.TryGetValue(angles, out GpuBuffer? frequencies))
        {
            Ensure(ref frequencies, angles.Frequencies.Length * sizeof(double));
            _staging.Upload<double>(angles.Frequencies, frequencies!.View);
            _frequencies.Add(angles, frequencies);
        }

        int pairs = angles.Frequencies.Length, rows = positions.Length;
        _launch.RopeFactors(
            _stream, Threads((long)rows * pairs), Ids(positions), frequencies.View.Cast<double>(), _memory.Rows(cosines), _memory.Rows(sines), rows, pairs, Interleaved(angles), angles.Magnitude);
    }

    public void Rope(RopeAngles angles, Rows cosines, Rows sines, Rows x, int rows, int heads, int headStride)
    {
        int pairs = angles.Frequencies.Length;
        _launch.Rope(_stream, Threads((long)rows * heads * pairs), _memory.Rows(x), _memory.Rows(cosines), _memory.Rows(sines), rows, heads, headStride, pairs, Interleaved(angles));
    }

    public void Activate(Activation activation, Rows gate, Rows? up, Rows y, int rows, int length) =>
        _launch.Activate(_stream, Threads((long)rows * length), _memory.Rows(gate), _memory.Rows(up ?? gate), _memory.Rows(y), rows, length, up is null ? 0 : 1, (int)activation);

    public void Add(Rows x, float scale, Rows y, int rows, int length) => _launch.Add(_stream, Threads((long)rows * length), _memory.Rows(x), _memory.Rows(y), rows, length, scale);

    public void AddBias(float* bias, Rows y, int rows, int length) => Add(new Rows(bias, 0), 1, y, rows, length);

    public void Scale(Rows x, float scale, int rows, int length) => Change(x, rows, length, 0, scale);

    public void SoftCap(Rows x, float cap, int rows, int length) => Change(x, rows, length, 1, cap);

    public void Clamp(Rows x, float limit, int rows, int length) => Change(x, rows, length, 2, limit);

    public void Sigmoid(Rows x, int rows, int length) => Change(x, rows, length, 3, 0);

    public void ScaleRows(Rows x, Rows factors, int rows, int length) => _launch.ScaleRows(_stream, Threads((long)rows * length), _memory.Rows(x), _memory.Rows(factors), rows, length);

    public void Copy(Rows x, Rows y, int rows, int length) => _launch.Copy(_stream, Threads((long)rows * length), _memory.Rows(x), NoIntegers, _memory.Rows(y), rows, length);

    public void Gather(Rows x, ReadOnlySpan<int> rows, Rows y, int length)
    {
        _mirrored = null;
        if (!rows.IsEmpty)
        {
            _launch.Copy(_stream, Threads((long)rows.Length * length), _memory.Rows(x), Ids(rows), _memory.Rows(y), rows.Length, length);
        }
    }

    private void Norm(Rows x, float* weight, float* bias, Rows y, int rows, int heads, int length, int weightStride, bool aroundMean, float epsilon)
    {
        ArrayView<float> weights = weight is null ? NoFloats : _memory.From<float>(weight), biases = bias is null ? NoFloats : _memory.From<float>(bias);
        _launch.Norm(_stream, RowTeams((long)rows * heads), _memory.Rows(x), weights, biases, _memory.Rows(y), rows, heads, length, weightStride, aroundMean ? 1 : 0, epsilon);
    }

    private void Change(Rows x, int rows, int length, int kind, float amount) => _launch.Change(_stream, Threads((long)rows * length), _memory.Rows(x), rows, length, kind, amount);

    private static int Interleaved(RopeAngles angles) => angles.Pairing == RopePairing.Interleaved ? 1 : 0;
}
