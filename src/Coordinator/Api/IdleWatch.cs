using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api;

/// <summary>
/// Tells when requests have come and none has been under way for two seconds: what was a prompt or an answer is garbage then. It tells so again every half minute, four times, since the
/// runtime's shared pools let go of an array only when a collection finds it unused for a minute.
/// </summary>
internal sealed class IdleWatch : IDisposable
{
    private const int Times = 5;

    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(2), s_between = TimeSpan.FromSeconds(30);

    private readonly ITimer _timer;
    private int _underWay;
    private int _timesLeft;

    public IdleWatch(TimeProvider time) => _timer = time.CreateTimer(_ => Tell(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <summary>Raised on a thread of the pool.</summary>
    public event Action? Idled;

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
                Volatile.Write(ref _timesLeft, Times);
                _timer.Change(s_quiet, Timeout.InfiniteTimeSpan);
            }
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Tell()
    {
        if (Volatile.Read(ref _underWay) != 0)
        {
            return;
        }

        Idled?.Invoke();
        if (Interlocked.Decrement(ref _timesLeft) > 0)
        {
            _timer.Change(s_between, Timeout.InfiniteTimeSpan);
        }
    }
}
