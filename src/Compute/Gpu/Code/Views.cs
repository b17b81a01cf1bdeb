using System.Runtime.InteropServices;
using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>Sixteen bytes: what a thread loads at once.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Int4
{
    public int X;
    public int Y;
    public int Z;
    public int W;
}

/// <summary>Rows of floats.</summary>
internal readonly struct RowsView(ArrayView<float> values, int stride)
{
    public readonly ArrayView<float> Values = values;
    public readonly int Stride = stride;

    public float Get(int row, int column) => Values[((long)row * Stride) + column];

    public void Set(int row, int column, float value) => Values[((long)row * Stride) + column] = value;
}

/// <summary>A weight matrix on the device; what its planes hold is the format's affair.</summary>
internal struct MatrixView
{
    public ArrayView<Int4> Quants;
    public ArrayView<int> High;
    public ArrayView<ushort> Scales;
    public int Rows;
    public int Columns;

    /// <summary>Units of a row: 32 elements of quantised formats, 8 of floats.</summary>
    public int Units;
}

/// <summary>The input of a multiplication: floats as given, and quantised to bytes in blocks of 32 where the weights are.</summary>
internal struct InputView
{
    public RowsView Floats;
    public int Columns;

    /// <summary>[rows][blocks][2].</summary>
    public ArrayView<Int4> Quants;

    /// <summary>[rows][blocks].</summary>
    public ArrayView<float> Scales;

    /// <summary>[rows][blocks]: scale × sum of the bytes.</summary>
    public ArrayView<float> Sums;
    public int Blocks;
}
