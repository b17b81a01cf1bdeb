using System.Runtime;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api;

/// <summary>
/// What was a prompt or an answer is garbage once the caller has it, and stands in the heap until its place is taken again. So when requests have come and none is under way for a while, the
/// collector compacts the heap and gives back to the system what that leaves, which the system clears. A coordinator that is never idle overwrites it by working.
/// It does so several times, since the runtime's shared pools let go of an array only when a collection finds it unused for a minute.
/// </summary>
internal sealed class IdleRelease : IDisposable
{
    private const int Passes = 5;

    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(2), s_between = TimeSpan.FromSeconds(30);

    private readonly ITimer _timer;
    private int _underWay;
    private int _passesLeft;

    public IdleRelease(TimeProvider time) => _timer = time.CreateTimer(_ => Release(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        // Whoever watches asks every few seconds and brings no text.
        if (HttpMethods.IsGet(context.Request.Method) && !context.Request.Path.StartsWithSegments("/v1"))
        {
            await next(context);
            return;
        }

        Interlocked.Increment(ref _underWay);
        try
        {
            await next(context);
        }
        finally
        {
            if (Interlocked.Decrement(ref _underWay) == 0)
            {
                Volatile.Write(ref _passesLeft, Passes);
                _timer.Change(s_quiet, Timeout.InfiniteTimeSpan);
            }
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Release()
    {
        if (Volatile.Read(ref _underWay) != 0)
        {
            return;
        }

        GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

        if (Interlocked.Decrement(ref _passesLeft) > 0)
        {
            _timer.Change(s_between, Timeout.InfiniteTimeSpan);
        }
    }
}
