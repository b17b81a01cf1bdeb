using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>Threads that work on one unit together: a row, an output, a head. Chosen when a kernel is built, so that it costs nothing in its loops.</summary>
internal interface ITeam
{
    /// <summary>Threads of the team.</summary>
    static abstract int Size { get; }

    /// <summary>This thread's place in its team.</summary>
    static abstract int Lane { get; }

    /// <summary>This team's number in the launch, and how many there are: units are dealt out in turn.</summary>
    static abstract int Index { get; }
    static abstract int Count { get; }

    /// <summary>This team's number in its thread group.</summary>
    static abstract int Slot { get; }

    /// <summary>The sum over the team, in every thread.</summary>
    static abstract float Sum(float value);

    static abstract float Max(float value);

    /// <summary>What the team wrote to shared memory before is seen by all of it after.</summary>
    static abstract void Barrier();
}

/// <summary>A thread by itself: what ILGPU's CPU accelerator runs fastest, since its threads meet slowly.</summary>
internal readonly struct SoloTeam : ITeam
{
    public static int Size => 1;
    public static int Lane => 0;
    public static int Index => (Grid.IdxX * Group.DimX) + Group.IdxX;
    public static int Count => Grid.DimX * Group.DimX;
    public static int Slot => Group.IdxX;

    public static float Sum(float value) => value;

    public static float Max(float value) => value;

    public static void Barrier()
    {
    }
}

/// <summary>A warp.</summary>
internal readonly struct WarpTeam : ITeam
{
    public static int Size => Warp.WarpSize;
    public static int Lane => Group.IdxX % Warp.WarpSize;
    public static int Index => (Grid.IdxX * (Group.DimX / Warp.WarpSize)) + (Group.IdxX / Warp.WarpSize);
    public static int Count => Grid.DimX * (Group.DimX / Warp.WarpSize);
    public static int Slot => Group.IdxX / Warp.WarpSize;

    public static float Sum(float value)
    {
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2)
        {
            value += Warp.ShuffleXor(value, distance);
        }

        return value;
    }

    public static float Max(float value)
    {
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2)
        {
            float other = Warp.ShuffleXor(value, distance);
            value = other > value ? other : value;
        }

        return value;
    }

    public static void Barrier() => Warp.Barrier();
}

/// <summary>A whole thread group.</summary>
internal readonly struct GroupTeam : ITeam
{
    private const int MaxWarps = 64;

    public static int Size => Group.DimX;
    public static int Lane => Group.IdxX;
    public static int Index => Grid.IdxX;
    public static int Count => Grid.DimX;
    public static int Slot => 0;

    public static float Sum(float value)
    {
        ArrayView<float> warps = SharedMemory.Allocate<float>(MaxWarps);
        value = WarpTeam.Sum(value);
        if (WarpTeam.Lane == 0)
        {
            warps[WarpTeam.Slot] = value;
        }

        Group.Barrier();
        float sum = 0;
        for (int warp = 0; warp < Group.DimX / Warp.WarpSize; warp++)
        {
            sum += warps[warp];
        }

        Group.Barrier();
        return sum;
    }

    public static float Max(float value)
    {
        ArrayView<float> warps = SharedMemory.Allocate<float>(MaxWarps);
        value = WarpTeam.Max(value);
        if (WarpTeam.Lane == 0)
        {
            warps[WarpTeam.Slot] = value;
        }

        Group.Barrier();
        float max = warps[0];
        for (int warp = 1; warp < Group.DimX / Warp.WarpSize; warp++)
        {
            max = warps[warp] > max ? warps[warp] : max;
        }

        Group.Barrier();
        return max;
    }

    public static void Barrier() => Group.Barrier();
}
