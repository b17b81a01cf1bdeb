using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Lamina.Compute.Kernels;

/// <summary>
/// AVX-512 F, BW and VL: 16 dwords. Where the machine lacks it, two AVX2 halves stand in, so that every machine can test the kernels' AVX-512 form;
/// <see cref="CpuVariants"/> never chooses that.
/// </summary>
internal readonly unsafe struct Simd512 : ISimd<Vector512<byte>>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    public static int Bytes { [MethodImpl(Inline)] get => 64; }

    [MethodImpl(Inline)]
    public static Vector512<byte> Load(void* address) => Vector512.Load((byte*)address);

    [MethodImpl(Inline)]
    public static void Store(void* address, Vector512<byte> value) => value.Store((byte*)address);

    [MethodImpl(Inline)]
    public static Vector512<byte> Broadcast(int dword) => Vector512.Create(dword).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> BroadcastFrom(void* address) => Vector512.Create(*(int*)address).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> Repeat16(long low, long high) => Vector512.Create(low, high, low, high, low, high, low, high).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> And(Vector512<byte> a, Vector512<byte> b) => a & b;

    [MethodImpl(Inline)]
    public static Vector512<byte> Or(Vector512<byte> a, Vector512<byte> b) => a | b;

    [MethodImpl(Inline)]
    public static Vector512<byte> ShiftLeft16(Vector512<byte> a, int bits) => (a.AsUInt16() << bits).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> ShiftRight16(Vector512<byte> a, int bits) => (a.AsUInt16() >> bits).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> ShiftRightSigned16(Vector512<byte> a, int bits) => (a.AsInt16() >> bits).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> ShiftLeft32(Vector512<byte> a, int bits) => (a.AsUInt32() << bits).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> ShiftRight32(Vector512<byte> a, int bits) => (a.AsUInt32() >> bits).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> Add16(Vector512<byte> a, Vector512<byte> b) => (a.AsInt16() + b.AsInt16()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> Subtract16(Vector512<byte> a, Vector512<byte> b) => (a.AsInt16() - b.AsInt16()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> MultiplyLow16(Vector512<byte> a, Vector512<byte> b) => (a.AsInt16() * b.AsInt16()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> Add32(Vector512<byte> a, Vector512<byte> b) => (a.AsInt32() + b.AsInt32()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> ShuffleBytes(Vector512<byte> a, Vector512<byte> pattern) => Avx512BW.IsSupported ? Avx512BW.Shuffle(a, pattern) : Vector512.Create(Avx2.Shuffle(a.GetLower(), pattern.GetLower()), Avx2.Shuffle(a.GetUpper(), pattern.GetUpper()));

    [MethodImpl(Inline)]
    public static Vector512<byte> Lookup(Vector512<byte> table, Vector512<byte> indices) => ShuffleBytes(table, indices);

    [MethodImpl(Inline)]
    public static Vector512<byte> Equal8(Vector512<byte> a, Vector512<byte> b) => Vector512.Equals(a, b);

    [MethodImpl(Inline)]
    public static Vector512<byte> MultiplyAddBytes(Vector512<byte> unsigned, Vector512<byte> signed) => Avx512BW.IsSupported
        ? Avx512BW.MultiplyAddAdjacent(unsigned, signed.AsSByte()).AsByte()
        : Vector512.Create(Simd256.MultiplyAddBytes(unsigned.GetLower(), signed.GetLower()), Simd256.MultiplyAddBytes(unsigned.GetUpper(), signed.GetUpper()));

    [MethodImpl(Inline)]
    public static Vector512<byte> MultiplyAddShorts(Vector512<byte> a, Vector512<byte> b) => Avx512BW.IsSupported
        ? Avx512BW.MultiplyAddAdjacent(a.AsInt16(), b.AsInt16()).AsByte()
        : Vector512.Create(Simd256.MultiplyAddShorts(a.GetLower(), b.GetLower()), Simd256.MultiplyAddShorts(a.GetUpper(), b.GetUpper()));

    [MethodImpl(Inline)]
    public static Vector512<byte> Sign8(Vector512<byte> a, Vector512<byte> b) => Vector512.ConditionalSelect(Vector512.LessThan(b.AsSByte(), Vector512<sbyte>.Zero), -a.AsSByte(), a.AsSByte()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> Abs8(Vector512<byte> a) => Vector512.Abs(a.AsSByte()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> ToFloat(Vector512<byte> integers) => Vector512.ConvertToSingle(integers.AsInt32()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> Multiply(Vector512<byte> a, Vector512<byte> b) => (a.AsSingle() * b.AsSingle()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> MultiplyAdd(Vector512<byte> a, Vector512<byte> b, Vector512<byte> c) => Vector512.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> SubtractProduct(Vector512<byte> a, Vector512<byte> b, Vector512<byte> c) => Vector512.FusedMultiplyAdd(-a.AsSingle(), b.AsSingle(), c.AsSingle()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> HalfLow(Vector512<byte> pairs) => HalfFloat.Low(pairs.AsInt32()).AsByte();

    [MethodImpl(Inline)]
    public static Vector512<byte> HalfHigh(Vector512<byte> pairs) => HalfFloat.High(pairs.AsInt32()).AsByte();
}
