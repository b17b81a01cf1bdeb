using Akka.Actor;
using Akka.Hosting;

namespace Lamina.Client.Actors;

/// <summary>Client actors for programs that use Akka.Hosting.</summary>
public static class LaminaHostingExtensions
{
    /// <summary>
    /// Starts <c>/user/lamina</c> and registers it: <c>IRequiredActor&lt;InferenceClient&gt;</c> finds it. With several coordinators it is an <see cref="InferenceRouter"/>,
    /// which takes the same commands. Connections close with the actor system.
    /// </summary>
    /// <param name="coordinators">One set of options per coordinator, at least one.</param>
    public static AkkaConfigurationBuilder WithLaminaClient(this AkkaConfigurationBuilder builder, params LaminaClientOptions[] coordinators)
    {
        if (coordinators.Length == 0)
        {
            throw new ArgumentException("at least one coordinator is needed", nameof(coordinators));
        }

        foreach (LaminaClientOptions options in coordinators)
        {
            options.Validate();
        }

        return builder.WithActors((system, registry) =>
        {
            LaminaClient[] clients = [.. coordinators.Select(options => new LaminaClient(options))];
            IActorRef actor = system.ActorOf(clients.Length == 1 ? InferenceClient.Props(clients[0]) : InferenceRouter.Props(clients), "lamina");
            registry.Register<InferenceClient>(actor);
            system.RegisterOnTermination(() =>
            {
                foreach (LaminaClient client in clients)
                {
                    client.Dispose();
                }
            });
        });
    }
}
