using System.Text;
using Koala.Cli;

// JSON is UTF-8, whatever language the terminal is set to.
if (Console.OutputEncoding.CodePage != Encoding.UTF8.CodePage)
    Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
using var input = new StreamReader(Console.OpenStandardInput(), Encoding.UTF8);
return KoalaCommand.Run(args, Console.Out, Console.Error, input);
