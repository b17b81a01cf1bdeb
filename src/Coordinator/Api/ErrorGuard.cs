using Lamina.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api;

/// <summary>The one place where a request's failure becomes an answer; details go to the log only.</summary>
internal sealed class ErrorGuard(ILogger logger)
{
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);

            // Routing answers 404 and 405 with a bare status.
            if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null })
            {
                await ApiError.OfStatus(context.Response.StatusCode, context.Request.Method).WriteAsync(context);
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone.
        }
        catch (StalledReaderException)
        {
            // Its connection is cut.
        }
        catch (ApiException e)
        {
            await WriteAsync(context, e.Error);
        }
        catch (BadHttpRequestException e)
        {
            await WriteAsync(context, ApiError.OfStatus(e.StatusCode, context.Request.Method));
        }
        catch (Exception e)
        {
            logger.LogError(e, "a request failed");
            await WriteAsync(context, ApiError.Internal());
        }
    }

    private static async Task WriteAsync(HttpContext context, ApiError error)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        context.Response.Clear();
        try
        {
            await error.WriteAsync(context);
        }
        catch (OperationCanceledException)
        {
            // The client has gone.
        }
    }
}
